#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "onnx/model_file.h"
#include "structure/structure.h"

namespace sparsify {

struct CutFigures {
  int64_t macs = 0;    ///< of one sample, over the nodes whose shapes are known
  int64_t params = 0;  ///< elements of floating-point (and quantised) weights
  int64_t bytes = 0;   ///< of the file and its data; what the cut takes from tensors is taken from the input's size
  int64_t memory = 0;  ///< largest sum of the bytes of all activations alive at once, in the order of the graph, batch 1 where it is open
};

/// Nodes that are removed as a whole, by label, with their tensors.
struct CutGone {
  std::set<std::string> nodes{};
  std::set<int> tensors{};
  std::map<std::string, std::string> renamed{};  ///< what they made -> what is read in its place
};

/// Nodes at which more activations are alive than a limit allows.
struct MemoryPeaks {
  size_t nodes = 0;
  std::set<std::string> values{};  ///< activations alive at some of them
};

/// What a graph costs once units are removed, counted on the shapes that the cut graph will have: exact, without writing it.
class CutCosts {
 public:
  /// `inputs` fixes whole input shapes, as for count_macs().
  CutCosts(const ModelFile& file, const Structure& structure, const std::map<std::string, Shape>& inputs = {});

  using Gone = CutGone;
  using Figures = CutFigures;

  /// `kind` is a budget's (macs, params, bytes, memory) or `activations`: the bytes alive at each node, summed over all nodes.
  /// Exact where shapes are known: nodes in uncounted() and activations of unknown shapes count 0.
  int64_t cost(const std::string& kind, const Removed& removed, const Gone& gone = {}) const;
  /// Where the graph holds more than `limit` bytes of activations.
  MemoryPeaks peaks_above(int64_t limit, const Removed& removed, const Gone& gone = {}) const;
  Figures figures(const Removed& removed, const Gone& gone = {}) const;
  /// Labels of nodes whose multiply-accumulates nobody knows: bodies of control flow, shapes that depend on values.
  std::vector<std::string> uncounted() const;
  /// Activations of unknown shape, which have no part in `memory`.
  size_t unsized() const;

 private:
  std::map<std::string, Shape> shapes_after(const Removed& removed) const;
  /// Walks the graph in its order: at each node, the bytes of all activations that are alive while it runs, and those activations.
  using AtNode = std::function<void(const FlatNode& node, int64_t bytes, const std::set<std::string>& alive)>;
  void walk_memory(const std::map<std::string, Shape>& shapes, const Gone& gone, const AtNode& at_node) const;
  int64_t macs(const std::map<std::string, Shape>& shapes, const Gone& gone) const;
  int64_t elements(int id, const Removed& removed) const;
  int64_t params(const Removed& removed, const Gone& gone) const;
  int64_t bytes(const Removed& removed, const Gone& gone) const;

  const ModelFile& file_;
  const Structure& structure_;
  std::map<std::string, Shape> shapes_;      ///< of the input model
  int64_t batch_ = 1;                        ///< samples of one run
  std::map<std::string, int> element_bits_;  ///< of values; 32 where unknown
  std::set<std::string> activations_;        ///< inputs of the graph and outputs of nodes
  std::vector<const FlatNode*> products_;    ///< nodes that multiply
  std::vector<int> weights_;                 ///< tensor ids that count as parameters
  std::map<int, std::vector<std::pair<int, size_t>>> cut_axes_;  ///< tensor -> (axis, group)
};

}  // namespace sparsify
