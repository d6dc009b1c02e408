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

/// What was found of a layer.
struct StoredLayer {
  std::optional<LayerState> state{};  ///< nullopt: none, of another run, or damaged
  std::string damage{};               ///< the file's path where its content is not what was written; else ""
};

/// `<folder>/solved-<id>.safetensors`, whole or not at all: the tensors by id, the mask as BOOL, the rest in the metadata,
/// with the SHA-256 of everything.
void write_state(const std::string& folder, const std::string& fingerprint, const LayerState& state);
/// Without a state the layer is solved again. Nothing of a file is used before its SHA-256 is known to be right.
StoredLayer read_state(const std::string& folder, const std::string& fingerprint, int id);

}  // namespace sparsify
