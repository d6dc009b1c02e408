#pragma once

#include <map>
#include <string>
#include <vector>

#include "mask/prunable.h"
#include "structure/structure.h"

namespace sparsify {

/// A weight and the groups that its axes belong to.
struct GroupedWeight {
  PrunableTensor tensor;
  std::vector<int> groups;   ///< ids, ascending
  bool cuttable = false;     ///< one of them is
};

/// What can be cut out of a model, and what cannot.
struct GroupReport {
  std::vector<Group> groups;
  std::vector<GroupedWeight> weights;  ///< weights of layers, integer ones too, in node order
  std::vector<GroupedWeight> others;   ///< biases, normalisations, embeddings and what else is stored
  int64_t prunable = 0;                ///< elements of those tensors
  int64_t cuttable = 0;                ///< elements of those that lie in a cuttable group
  int64_t default_prunable = 0;        ///< the same for the tensors that a rule without `select` takes
  int64_t default_cuttable = 0;

  double share() const { return prunable == 0 ? 1.0 : static_cast<double>(cuttable) / static_cast<double>(prunable); }
};

GroupReport report_groups(const ModelFile& file, const std::map<std::string, Shape>& inputs = {});

/// The weights of one layer: `name` is a node's label, an initializer or a group's name, in this order; globs are allowed. Where no weight matches, the
/// other tensors that do: of a normalisation, a bias.
/// throws ConfigError with the nearest names when nothing matches
std::vector<GroupedWeight> weights_of_layer(const GroupReport& report, const std::string& name);

/// `it is an input of the model (input "x")`
std::string to_text(const Freeze& freeze);

}  // namespace sparsify
