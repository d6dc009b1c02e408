#pragma once

#include <map>
#include <string>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Tensors by name in a safetensors file, written atomically. Returns its SHA-256.
std::string write_tensors(const std::string& path, const std::map<std::string, HostTensor>& tensors);

/// The bytes of such a file, for another process.
std::string pack_tensors(const std::map<std::string, HostTensor>& tensors);
std::map<std::string, HostTensor> unpack_tensors(const std::string& bytes);

/// throws ResourceError for a file that is not one, or whose SHA-256 is not `sha256`
std::map<std::string, HostTensor> read_tensors(const std::string& path, const std::string& sha256);

}  // namespace sparsify
