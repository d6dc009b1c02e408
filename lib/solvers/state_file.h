#pragma once

#include <map>
#include <optional>
#include <string>

#include "solvers/correction.h"

namespace sparsify {

/// A finished layer as it is kept between runs.
struct LayerState {
  LayerCorrection layer{};
  std::map<int, HostTensor> tensors{};  ///< by id: what the layer changed
};

/// `<folder>/solved-<id>.safetensors`, whole or not at all: the tensors by id, the mask as BOOL, the rest in the metadata.
void write_state(const std::string& folder, const std::string& fingerprint, const LayerState& state);
/// nullopt when there is none, when it belongs to another run or when it is damaged: then the layer is solved again.
std::optional<LayerState> read_state(const std::string& folder, const std::string& fingerprint, int id);

}  // namespace sparsify
