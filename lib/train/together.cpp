#include "train/together.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "train/order.h"
#include "train/tensor_file.h"

namespace sparsify {
namespace {

std::span<double> doubles(at::Tensor& tensor) { return {tensor.mutable_data_ptr<double>(), static_cast<size_t>(tensor.numel())}; }

/// All of one type in one message.
template <class T>
void sum_all(ProcessGroup& processes, const std::vector<at::Tensor>& tensors, at::ScalarType type) {
  std::vector<at::Tensor> flat;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.scalar_type() == type) flat.push_back(tensor.reshape({-1}));
  }
  if (flat.empty()) return;
  const at::Tensor all = at::cat(flat).to(at::kCPU);
  processes.sum_(std::span<T>(all.mutable_data_ptr<T>(), static_cast<size_t>(all.numel())));
  int64_t at = 0;
  for (const at::Tensor& tensor : tensors) {
    if (tensor.scalar_type() != type) continue;
    tensor.copy_(all.narrow(0, at, tensor.numel()).view(tensor.sizes()));
    at += tensor.numel();
  }
}

}  // namespace

Together::Together(ProcessGroup* processes) : processes_(processes) {
  if (processes == nullptr) return;
  share_.sum_ = [processes](at::Tensor& values) { processes->sum_(doubles(values)); };
}

void Together::begin(const TrainTask& task) {
  if (processes_ != nullptr && is_first()) processes_->give_order(order_of(task));
}

void Together::end() const {
  if (processes_ != nullptr) processes_->end_work();
}

Checkpoint Together::share_state(Checkpoint own) const {
  if (processes_ == nullptr) return own;
  processes_->broadcast_(own.state);
  std::string tensors = is_first() ? pack_tensors(own.tensors) : std::string();
  processes_->broadcast_(tensors);
  if (!is_first()) own.tensors = unpack_tensors(tensors);
  return own;
}

MaskMap Together::share_masks(MaskMap own) const {
  if (processes_ == nullptr) return own;
  std::map<std::string, HostTensor> bytes;
  for (const auto& [id, mask] : own) {
    HostTensor one(DType::UInt8, {mask.size()});
    mask.unpack(0, {one.mutable_data<uint8_t>(), static_cast<size_t>(mask.size())});
    bytes.emplace(std::to_string(id), std::move(one));
  }
  std::string packed = is_first() ? pack_tensors(bytes) : std::string();
  processes_->broadcast_(packed);
  if (is_first()) return own;
  MaskMap masks;
  for (const auto& [id, one] : unpack_tensors(packed)) {
    masks.emplace(std::stoi(id), BitMask::from_bytes({one.data<uint8_t>(), static_cast<size_t>(one.count())}));
  }
  return masks;
}

double Together::sum(double value) const {
  if (processes_ != nullptr) processes_->sum_(std::span(&value, 1));
  return value;
}

void Together::sum_(const std::vector<at::Tensor>& gradients) const {
  if (processes_ == nullptr) return;
  const at::NoGradGuard not_recorded;
  sum_all<float>(*processes_, gradients, at::kFloat);
  sum_all<double>(*processes_, gradients, at::kDouble);
}

const BatchShare* Together::batch_share(bool counts) {
  share_.counts = counts;
  return processes_ == nullptr ? nullptr : &share_;
}

}  // namespace sparsify
