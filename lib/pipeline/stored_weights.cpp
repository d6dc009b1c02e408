#include "pipeline/stored_weights.h"

#include <algorithm>

namespace sparsify {

HostTensor weights_of(const ModelFile& file, const PrunableTensor& tensor) {
  if (tensor.scale_id < 0) return file.tensor_data(tensor.id);
  HostTensor real(DType::Float32, tensor.shape);
  read_weights(file, tensor, {real.mutable_data<float>(), static_cast<size_t>(real.count())});
  return real;
}

std::string quantisation_refusal(const ModelFile& file, const PrunableTensor& tensor) {
  if (tensor.scale_id < 0 || tensor.zero_point_id < 0) return "";
  if (bits_of(tensor.type) < 8) return "packed integers of less than 8 bits: left untouched";
  const std::vector<int64_t> zeros = file.tensor_data(tensor.zero_point_id).to_integers();
  const bool symmetric = std::all_of(zeros.begin(), zeros.end(), [](int64_t zero) { return zero == 0; });
  return symmetric ? "" : "quantised with a zero point other than 0: a stored zero would not be a real zero";
}

HostTensor masked_copy(const ModelFile& file, int tensor_id, const BitMask& mask) {
  HostTensor data = file.tensor_data(tensor_id).copy();
  apply_mask_(mask, 0, data.mutable_bytes(), bits_of(data.type()) / 8);
  return data;
}

}  // namespace sparsify
