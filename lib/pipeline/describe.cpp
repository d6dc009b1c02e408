#include "pipeline/describe.h"

#include <algorithm>

#include "mask/weight_kind.h"
#include "pipeline/cut_plan.h"
#include "pipeline/figures.h"
#include "report/mask_picture.h"

namespace sparsify {
namespace {

std::vector<PrunableTensor> all_tensors(const Decisions& decisions) {
  std::vector<PrunableTensor> tensors;
  for (const Decision& decision : decisions.decided) tensors.push_back(decision.tensor);
  for (const Skipped& skipped : decisions.skipped) tensors.push_back(skipped.tensor);
  return tensors;
}

}  // namespace

std::map<int, int64_t> describe_decisions(RunReport& report, const ModelFile& file, const Decisions& decisions, const std::map<std::string, Shape>& inputs,
                                          const std::vector<KeptMagnitude>& kept_magnitudes) {
  const std::vector<PrunableTensor> tensors = all_tensors(decisions);
  const MacCounts macs = count_macs(file, inputs);
  std::map<int, int64_t> input_zeros = count_all_zeros(file, tensors);
  report.model = figures_of(file, tensors, input_zeros, macs.total());
  report.model.sha256 = file.sha256();
  MaskSet masks;
  std::map<std::string, int> output_axes;
  std::vector<std::pair<int, LayerRow>> rows;
  const auto row_of = [&](const PrunableTensor& tensor) {
    LayerRow row{.name = tensor.layer, .initializer = tensor.initializer, .op = tensor.op, .shape = tensor.shape, .type = name_of(tensor.type)};
    row.params = tensor.count();
    row.sparsity_before = row.params == 0 ? 0 : static_cast<double>(input_zeros.at(tensor.id)) / static_cast<double>(row.params);
    row.kept = row.params;
    row.sparsity = row.sparsity_before;
    int64_t own = 0;
    bool known = false;
    for (const std::string& user : tensor.used_by) {
      const auto found = macs.by_node.find(user);
      if (found == macs.by_node.end() || !is_weight(tensor)) continue;
      own += found->second;
      known = true;
    }
    if (known) row.macs = own;
    return row;
  };
  for (const Decision& decision : decisions.decided) {
    LayerRow row = row_of(decision.tensor);
    row.prunable = row.params;
    row.kept = decision.mask.kept();
    row.target = decision.target;
    row.pattern = decision.pattern;
    row.sparsity = static_cast<double>(decision.mask.pruned()) / static_cast<double>(row.params);
    report.prunable += row.prunable;
    report.pruned += decision.mask.pruned();
    if (!decisions.cut || decision.mask.pruned() > 0) masks.emplace_back(decision.tensor.initializer, Mask{decision.tensor.shape, decision.mask});
    output_axes[decision.tensor.initializer] = decision.tensor.output_axis;
    for (const KeptMagnitude& kept : kept_magnitudes) {
      if (kept.tensor_id != decision.tensor.id) continue;
      row.kept_magnitude_before = kept.before;
      row.kept_magnitude = kept.after;
    }
    rows.emplace_back(decision.tensor.node_order, std::move(row));
  }
  for (const Skipped& skipped : decisions.skipped) {
    LayerRow row = row_of(skipped.tensor);
    row.skipped = skipped.reason;
    rows.emplace_back(skipped.tensor.node_order, std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [order, row] : rows) report.layers.push_back(std::move(row));
  report.sparsity = report.prunable == 0 ? 0 : static_cast<double>(report.pruned) / static_cast<double>(report.prunable);
  report.pictures = draw_largest_masks(masks, output_axes);
  return input_zeros;
}

void describe_output(RunReport& report, const ModelFile& written, const std::string& path, const Decisions& decisions,
                     const std::map<int, int64_t>& written_zeros, std::map<int, int64_t> all_zeros, const std::map<int, HostTensor>& changed) {
  // Verification has shown that all other tensors are those of the input.
  for (const auto& [id, tensor] : changed) {
    if (written_zeros.contains(id)) continue;
    all_zeros[id] = count_zeros(written.tensor_data(id));
    written.release_tensor_data(id);
  }
  int64_t total = 0;
  std::map<std::string, int64_t> zeros;
  for (const auto& [id, count] : written_zeros) {
    all_zeros[id] = count;
    zeros[written.tensor(id).name] = count;
    total += count;
  }
  report.result = figures_of(written, all_tensors(decisions), all_zeros, report.model.macs);
  report.result->path = path;
  std::map<std::string, int64_t> others;
  for (const Skipped& skipped : decisions.skipped) others[skipped.tensor.initializer] = all_zeros.at(skipped.tensor.id);
  for (LayerRow& row : report.layers) {
    const std::map<std::string, int64_t>& own = row.prunable > 0 ? zeros : others;
    const auto found = own.find(row.initializer);
    if (found != own.end() && row.params > 0) row.sparsity = static_cast<double>(found->second) / static_cast<double>(row.params);
  }
  report.sparsity = report.prunable == 0 ? 0 : static_cast<double>(total) / static_cast<double>(report.prunable);
}

void describe_cut_output(RunReport& report, const ModelFile& written, const std::string& path, const Decisions& decisions,
                         const std::map<std::string, Shape>& inputs, const std::map<int, HostTensor>& changed) {
  std::map<std::string, double> sparsities;  // of what no mask touches, and which is written whole
  for (const Skipped& skipped : decisions.skipped) {
    const auto found = changed.find(skipped.tensor.id);
    if (found == changed.end() || found->second.count() == 0 || decisions.cut->masks.contains(skipped.tensor.id)) continue;
    sparsities[skipped.tensor.initializer] = static_cast<double>(count_zeros(found->second)) / static_cast<double>(found->second.count());
  }
  for (LayerRow& row : report.layers) {
    const auto found = sparsities.find(row.initializer);
    if (found != sparsities.end() && row.prunable == 0) row.sparsity = found->second;
  }
  const std::vector<PrunableTensor> tensors = find_tensors(written);
  report.result = figures_of(written, tensors, count_all_zeros(written, tensors), count_macs(written, inputs).total());
  report.result->path = path;
}

}  // namespace sparsify
