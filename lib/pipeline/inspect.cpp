#include "pipeline/inspect.h"

#include <zlib.h>

#include <algorithm>

#include "mask/weight_kind.h"
#include "onnx/checker.h"
#include "onnx/flat_graph.h"
#include "patterns/pattern.h"
#include "pipeline/figures.h"

namespace sparsify {
namespace {

StorageSizes storage_of(const HostTensor& data, const PrunableTensor& tensor, int64_t zeros) {
  const int64_t width = std::max(1, bits_of(tensor.type) / 8);
  const int64_t nonzeros = tensor.count() - zeros;
  StorageSizes sizes;
  sizes.dense = static_cast<int64_t>(data.bytes().size());
  sizes.coo = nonzeros * (width + 4);
  sizes.csr = nonzeros * (width + 4) + (tensor.output_channels() + 1) * 4;
  sizes.bitmap = nonzeros * width + (tensor.count() + 7) / 8;
  std::vector<unsigned char> out(compressBound(data.bytes().size()));
  uLongf size = out.size();
  compress2(out.data(), &size, reinterpret_cast<const unsigned char*>(data.bytes().data()), data.bytes().size(), 1);
  sizes.compressed = static_cast<int64_t>(size);
  return sizes;
}

BitMask nonzero_mask(const ModelFile& file, const PrunableTensor& tensor) {
  std::vector<float> weights(static_cast<size_t>(tensor.count()));
  read_weights(file, tensor, weights);
  BitMask mask(tensor.count(), /*kept=*/false);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) mask.keep(static_cast<int64_t>(i));
  }
  return mask;
}

std::string two_of_four(const ModelFile& file, const PrunableTensor& tensor, const Pattern& pattern, int64_t zeros) {
  if (tensor.kind != "weight") return "";
  const std::string refused = pattern.refuses(tensor);
  if (!refused.empty()) return refused;
  if (zeros * 2 < tensor.count() - tensor.count() / 4) return "possible";  // too few zeros to obey: no need to look
  return pattern.violation(tensor, nonzero_mask(file, tensor)).empty() ? "yes" : "possible";
}

}  // namespace

Inspection inspect(const ModelFile& file, const InspectOptions& options) {
  Inspection result;
  const ModelGraph& model = file.model();
  result.producer = model.producer;
  result.ir_version = model.ir_version;
  result.opsets = model.opsets;
  result.inputs = model.graph.inputs;
  result.outputs = model.graph.outputs;
  result.warnings = file.warnings();
  for (const FlatNode& node : flatten(model).nodes) {
    ++result.operators[node.node->domain.empty() ? node.node->op_type : node.node->domain + "." + node.node->op_type];
  }
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  const MacCounts macs = count_macs(file, options.input_shapes);
  const std::map<int, int64_t> zeros = count_all_zeros(file, tensors);
  result.figures = figures_of(file, tensors, zeros, macs.total());
  result.figures.sha256 = file.sha256();
  result.checker = full_check(file);
  std::map<int, std::string> reasons;
  PruneRule everything;
  try {
    for (const Skipped& skipped : select_tensors(tensors, {everything}).skipped) reasons[skipped.tensor.id] = skipped.reason;
  } catch (const ConfigError&) {  // nothing is prunable by default: each tensor's own reason says why
    for (const PrunableTensor& tensor : tensors) reasons[tensor.id] = "not taken by the default rule";
  }
  const auto pattern = make_pattern(Setting("2:4"), "pattern");
  for (const PrunableTensor& tensor : tensors) {
    const HostTensor data = file.tensor_data(tensor.id);
    InspectedTensor row{.tensor = tensor, .zeros = zeros.at(tensor.id)};
    row.skipped = reasons.contains(tensor.id) ? reasons.at(tensor.id) : "";
    row.two_of_four = two_of_four(file, tensor, *pattern, row.zeros);
    for (const std::string& user : tensor.used_by) {
      const auto found = macs.by_node.find(user);
      if (is_weight(tensor) && found != macs.by_node.end()) row.macs = row.macs.value_or(0) + found->second;
    }
    if (options.storage) row.storage = storage_of(data, tensor, row.zeros);
    result.tensors.push_back(std::move(row));
  }
  return result;
}

}  // namespace sparsify
