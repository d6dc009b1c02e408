#pragma once

#include <memory>

#include "tensor/host_tensor.h"

namespace sparsify {

/// An array whose first axis counts records; at() is a view.
class Rows {
 public:
  Rows() = default;
  explicit Rows(HostTensor all)
      : all_(std::make_shared<const HostTensor>(std::move(all))),
        row_shape_(all_->shape().begin() + 1, all_->shape().end()),
        row_bytes_(bytes_for(all_->type(), element_count(row_shape_))) {}

  int64_t size() const { return all_ ? all_->shape()[0] : 0; }
  DType type() const { return all_->type(); }
  const Shape& row_shape() const { return row_shape_; }
  HostTensor at(int64_t index) const {
    return {all_->type(), row_shape_, all_->bytes().subspan(index * row_bytes_, row_bytes_), all_};
  }

 private:
  std::shared_ptr<const HostTensor> all_;
  Shape row_shape_;
  int64_t row_bytes_ = 0;
};

inline HostTensor class_label(int64_t label) {
  return HostTensor::of<int64_t>(DType::Int64, {}, {label});
}

}  // namespace sparsify
