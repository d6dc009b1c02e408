#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "onnx/flat_graph.h"
#include "onnx/model_file.h"

namespace sparsify {

/// Which indices of which axes must be cut together. Every index of every axis of every value carries a label;
/// operators merge labels (union-find). A joined index (flatten, heads x width) has a label made of two: it goes when
/// either goes. One class of labels is a *unit*: the least that can be removed. Units that are indices of the same
/// layers form a *group*.
///
/// Exactness. "Masked" means: in the dense model every slice of every member with Role Output, Input or Vector that a
/// removed unit names is +0.0: what produces the channel and also what consumes it, so that it does not matter whether
/// an activation maps 0 to 0 (Sigmoid, Exp, a constant added on the way). Where no weight consumes the channel (a sum
/// over channels, a product of two activations over them) the rule demands that it is exactly zero there, else it
/// freezes the group. Members with Role Passive (BatchNormalization statistics, divisors, quantisation scales, integers)
/// are cut but not masked. Then shrunk model == masked model up to the order of floating-point sums.

/// What keeps indices from being removed.
struct Freeze {
  std::string node;    ///< label of the node, or the name of the graph input or output
  std::string op;      ///< operator type; `input`, `output` for those of the graph
  std::string reason;  ///< `its outputs are normalised over this axis`
  std::string fix;     ///< what would change that
};

enum class Role {
  Output,   ///< axis of a weight that produces the indices: rows of Conv, columns of a MatMul weight
  Input,    ///< contracted axis of a weight that consumes them
  Vector,   ///< biases, scales, shifts and other constants along the axis
  Passive,  ///< cut, but not masked
};

/// One axis of one stored tensor that a group's units are indices of.
struct Member {
  int tensor_id = -1;
  std::string tensor;                         ///< name in the file
  int axis = 0;                               ///< of the stored shape
  Role role = Role::Vector;
  std::vector<std::vector<int64_t>> indices;  ///< [units]: ascending indices along the axis; may be empty
};

struct ValueAxis {
  std::string value;  ///< name in FlatGraph
  int axis = 0;
};

struct Group {
  int id = 0;
  std::string name;   ///< label of the first layer (node order) that produces its indices, unique in the model
  std::string kind;   ///< `channel`, or `head`: independent parts of an attention product
  int64_t units = 0;
  std::vector<bool> unit_frozen;  ///< [units]: these stay
  std::vector<Member> members;    ///< in order of tensor id, axis
  std::vector<ValueAxis> values;  ///< activations along which units lie, in node order
  std::vector<Freeze> frozen;     ///< why; each reason once

  int64_t free_units() const;
  /// Something can be removed and something would remain.
  bool is_cuttable() const { return units > 1 && free_units() > 0; }
};

/// A number in the file that counts indices: an element of a shape constant, a bound of a Slice, an index of a Gather, `group` of
/// a Conv. After a cut it must be `count(...)`, for elements that are themselves not cut. Two uses of one stored tensor may
/// disagree; then the node needs a copy of its own.
struct Count {
  const Node* node = nullptr;  ///< the node whose attribute it is, or that reads the constant
  std::string label{};         ///< that node's label in FlatGraph
  int tensor_id = -1;          ///< of the stored integer tensor; -1: an attribute
  std::string attribute{};     ///< attribute name, else ""
  int pin = -1;                ///< no tensor and no attribute: an element of this one of Structure::pins()
  int64_t element = 0;         ///< flat index into the tensor or the attribute's list (0 for a single integer)
  int64_t value = 0;           ///< what stands there now
  int line = -1;               ///< what it counts along (internal)
  int64_t first = 0;           ///< counts what remains of [first, last) along the line
  int64_t last = 0;
  int64_t sign = 1;            ///< -1: the number stands as its negative (a bound counted from the end)
};

/// An operand that the graph computes from lengths which a cut changes, although no run does: where moves() says so, the
/// node's input must become a stored constant, `value` with the elements that a Count names changed.
struct Pin {
  const Node* node = nullptr;  ///< of the main graph
  std::string label{};
  int input = 0;
  HostTensor value{};            ///< what stands there before the cut; in a shape, 0 and -1 for sizes that only the run knows
  std::vector<int> lines{};    ///< axes whose lengths it is computed from (internal)
};

/// A mean over an axis of which indices are removed (they are zeros in the masked model): the shrunk node divides by fewer, so
/// its first output must be multiplied by (kept / total)^power to stay what it was: power 1 for the mean itself, -1/2 for a root
/// mean square that divides, whose epsilon then becomes epsilon * total / kept.
struct Rescale {
  const Node* node = nullptr;  ///< of the main graph
  DType type = DType::Undefined;  ///< of the output
  double power = 1;
  float epsilon = 0;  ///< the attribute `epsilon` before the cut; 0: the node has none
  float scale = 0;    ///< instead of all that, the attribute `scale` is stated, which the node else computes from the length; 0: it is not
  int line = -1;      ///< the axis (internal)
  int64_t total = 0;  ///< its length before the cut
};

struct StructureOptions {
  std::map<std::string, Shape> inputs{};  ///< whole input shapes; the other sizes that only the run decides are probed
};

/// [group][unit]: true = removed.
using Removed = std::vector<std::vector<bool>>;

class Structure {
 public:
  /// An operator without a rule freezes what it touches and is named; never throws for a model that loads.
  static Structure analyse(const ModelFile& file, const StructureOptions& options = {});

  Structure(Structure&&) noexcept;
  Structure& operator=(Structure&&) noexcept;
  ~Structure();

  const FlatGraph& graph() const;
  const std::vector<Group>& groups() const;
  const std::vector<Count>& counts() const;
  const std::vector<Pin>& pins() const;
  const std::vector<Rescale>& rescales() const;

  /// Lengths of a value's axes in the probe; -1: unknown. Empty when the value is unknown.
  Shape shape(const std::string& value) const;

  Removed nothing_removed() const;
  /// Ascending indices that remain of an axis of a value; {} for a value, axis or length that is not known (nothing of it
  /// is ever cut) and for an axis that is emptied, which callers must not let happen (see empties()).
  std::vector<int64_t> kept(const std::string& value, int axis, const Removed& removed) const;
  /// How many indices of an axis of a value each unit of the group is; frozen units count none.
  std::vector<int64_t> indices_a_unit(const std::string& value, int axis, const Group& group) const;
  /// By stored tensor and its stored axis.
  std::vector<int64_t> kept(int tensor_id, int axis, const Removed& removed) const;
  /// What the number becomes.
  int64_t count(const Count& count, const Removed& removed) const;
  /// A length that the pin is computed from, or a number that it holds, changes.
  bool moves(const Pin& pin, const Removed& removed) const;
  /// kept / total, without the power.
  double share(const Rescale& rescale, const Removed& removed) const;
  /// True if no index of some axis of some value would remain.
  bool empties(const Removed& removed) const;

  struct Impl;  ///< structure/impl.h

 private:
  explicit Structure(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sparsify
