#pragma once

#include <cstdint>
#include <string>

#include "onnx/model_impl.h"
#include "onnx/splice.h"

namespace sparsify {

/// The fields of a tensor that `selected` names, each with the frame it lies in, in the order of the file.
struct PlacedField {
  wire::Field field;
  int frame = -1;
};
std::vector<PlacedField> fields_of(const ModelFile::Impl& impl, int id, uint32_t number);

}  // namespace sparsify
