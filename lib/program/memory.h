#pragma once

#include <cstdint>
#include <new>
#include <string>

namespace sparsify {

/// A tensor that is larger than the memory that is left. A bad_alloc, so that whoever knows the place can say more.
class OutOfMemory final : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

/// What the memory of tensors on the CPU comes to.
struct TensorMemory {
  int64_t in_use = 0;  ///< bytes of large tensors that are alive
  int64_t mapped = 0;  ///< bytes that have pages: with what is kept for the next ones
};

/// From now on LibTorch takes the memory of large tensors from ranges that join when they come free and are cut for tensors of any
/// size. The C library's heap, which LibTorch uses otherwise, is torn into pieces by a network's tensors of several sizes: a forward
/// pass then holds more than twice what is alive. Pages are given back before more is held than the most that was ever alive at
/// once, so that no run needs more than its own tensors; a run that repeats takes almost no new ones. Does nothing when called again.
void pool_tensor_memory();

/// Gives back what is kept for later; called when a network is dropped.
void release_tensor_memory();

TensorMemory tensor_memory();

}  // namespace sparsify
