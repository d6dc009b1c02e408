#include "solvers/affected.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace sparsify {

Affected::Affected(const Plan& plan, const std::set<int>& changed_tensors) {
  for (const auto& [slot, tensor] : plan.stored) {
    if (changed_tensors.contains(tensor.id)) slots_.insert(slot);
  }
  const auto reads = [&](const std::vector<SlotRef>& refs) {
    return std::any_of(refs.begin(), refs.end(), [&](const SlotRef ref) { return ref.depth == 0 && slots_.contains(ref.index); });
  };
  for (const Step& step : plan.steps) {
    if (!reads(step.inputs) && !reads(step.captured)) continue;
    for (const int output : step.outputs) {
      if (output >= 0) slots_.insert(output);
    }
  }
}

namespace {

at::Tensor stored_mask(const LinearSite& site, const BitMask& mask) {
  at::Tensor bytes = at::empty({mask.size()}, at::kByte);
  mask.unpack(0, {bytes.data_ptr<uint8_t>(), static_cast<size_t>(mask.size())});
  return bytes.reshape(at::IntArrayRef(site.tensor.shape));
}

}  // namespace

at::Tensor live_inputs(const LinearSite& site, const BitMask& mask) {
  if (site.kind != LinearSite::Kind::Conv || site.groups != 1) return {};
  const at::Tensor used = stored_mask(site, mask).transpose(0, 1).reshape({site.tensor.shape[1], -1}).any(1);
  at::Tensor live = used.nonzero().view({-1});
  return live.numel() == used.numel() || live.numel() == 0 ? at::Tensor() : live;
}

bool keeps_whole_rows(const LinearSite& site, const BitMask& mask) {
  const at::Tensor rows = to_matrix(site, stored_mask(site, mask));
  return rows.eq(rows.narrow(1, 0, 1)).all().item<bool>();
}

}  // namespace sparsify
