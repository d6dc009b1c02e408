#include "program/ops/operands.h"

#include <ATen/ops/bitwise_xor.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <limits>

namespace sparsify {

void to_one_device(at::Tensor& left, at::Tensor& right) {
  if (left.device() == right.device()) return;
  if (left.is_cpu()) {
    left = left.to(right.device());
  } else {
    right = right.to(left.device());
  }
}

std::pair<at::Tensor, at::Tensor> operands(const OpCall& call) {
  std::pair<at::Tensor, at::Tensor> both{call.tensor(0), call.tensor(1)};
  if (call.opset() < 7 && call.has_attribute("axis")) {  // `broadcast` of old: the right shape begins at that axis
    const int64_t axis = normalise_axis(call, call.attribute("axis", 0), both.first.dim());
    std::vector<int64_t> shape = both.second.sizes().vec();
    shape.resize(std::max(shape.size(), static_cast<size_t>(both.first.dim() - axis)), 1);
    both.second = both.second.view(shape);
  }
  to_one_device(both.first, both.second);
  return both;
}

at::Tensor in_signed_order(const at::Tensor& tensor, DType type) {
  return type == DType::UInt64 ? at::bitwise_xor(tensor, std::numeric_limits<int64_t>::min()) : tensor;
}

at::Tensor map_uint64(const at::Tensor& left, const at::Tensor& right, uint64_t (*function)(uint64_t, uint64_t)) {
  const auto both = at::broadcast_tensors({left.cpu(), right.cpu()});
  const at::Tensor a = both[0].contiguous();
  const at::Tensor b = both[1].contiguous();
  at::Tensor result = at::empty_like(a);
  const auto* x = a.const_data_ptr<int64_t>();
  const auto* y = b.const_data_ptr<int64_t>();
  auto* out = result.data_ptr<int64_t>();
  for (int64_t i = 0; i < result.numel(); ++i) {
    out[i] = static_cast<int64_t>(function(static_cast<uint64_t>(x[i]), static_cast<uint64_t>(y[i])));
  }
  return result.to(left.device());
}

bool is_unsigned(DType type) {
  switch (type) {
    case DType::UInt2:
    case DType::UInt4:
    case DType::UInt8:
    case DType::UInt16:
    case DType::UInt32:
    case DType::UInt64:
    case DType::Bool: return true;
    default: return false;
  }
}

}  // namespace sparsify
