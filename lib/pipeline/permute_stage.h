#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "report/run_report.h"
#include "structure/permute.h"

namespace sparsify {

struct PermuteRequest {
  std::map<std::string, Shape> inputs{};  ///< where the graph leaves shapes open
  uint64_t seed = 0;
  int threads = 0;
  std::string device = "auto";
};

/// Units of a group in a new order, by the group's name: what a plan holds.
struct GroupOrder {
  std::string group;
  std::vector<int64_t> order;
};

/// Share of a tensor's magnitude that its N:M pattern keeps.
struct KeptMagnitude {
  int tensor_id = -1;
  double before = 0;  ///< in the given order
  double after = 0;
};


/// A rule asks for it. throws ConfigError for a rule whose pattern is not N:M
bool permutes(const Recipe& recipe);

/// Searches an order of the channels of every group that a permuting N:M rule's layers read (Pool & Yu 2021, see
/// tensor/permute_columns.h). A group with several readers is searched on all their columns together; what is frozen (inputs,
/// outputs) or has no stripe of M channels of its own stays. An order is taken only if its layers keep more.
std::vector<GroupOrder> find_permutation(const ModelFile& file, const Recipe& recipe, const PermuteRequest& request);

/// Of the N:M tensors whose inputs these orders move, in node order.
std::vector<KeptMagnitude> kept_magnitudes(const ModelFile& file, const Recipe& recipe, const std::vector<GroupOrder>& orders, const PermuteRequest& request);

/// The model with its channels in the new order, in a temporary file beside `output` that goes with this object.
struct PermutedModel {
  std::unique_ptr<ModelFile::Writer> writer;
  std::unique_ptr<ModelFile> file;
  std::vector<GroupOrder> orders;  ///< those that were applied
  std::vector<VerificationResult> checks;  ///< `permutation_exact`, `permutation_equal`
  std::vector<std::string> warnings;
};

/// Writes it and proves, on random inputs, that it computes what the given one does. A group whose order alone changes the outputs
/// is put back, with a warning.
///   throws  ResourceError for orders that do not fit the graph
PermutedModel permute(const ModelFile& file, const std::vector<GroupOrder>& orders, const std::string& output, const PermuteRequest& request);

}  // namespace sparsify
