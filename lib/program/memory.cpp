#include "program/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/memory.h"

namespace sparsify {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSmallestPooled = size_t{1} << 18;  ///< below, the C library's heap does well
constexpr size_t kCheckedFrom = size_t{1} << 28;     ///< from here on the memory that is left is looked at first

struct Block {
  void* start = nullptr;
  size_t size = 0;
};

class Pool {
 public:
  void* take(size_t bytes) {
    const size_t size = (bytes + kPage - 1) / kPage * kPage;
    const std::lock_guard lock(mutex_);
    in_use_ += size;
    most_ = std::max(most_, in_use_);
    const auto fits = [size](const Block& block) { return block.size >= size && block.size - size <= size / 8; };
    if (const auto found = std::find_if(idle_.rbegin(), idle_.rend(), fits); found != idle_.rend()) {
      void* const start = found->start;
      in_use_ += found->size - size;
      idle_.erase(std::next(found).base());
      return start;
    }
    while (!idle_.empty() && mapped_ + size > most_) give_back_oldest();
    try {
      return map(size);
    } catch (...) {
      in_use_ -= size;
      throw;
    }
  }

  void put_back(void* start) {
    const std::lock_guard lock(mutex_);
    const size_t size = sizes_.at(start);
    in_use_ -= size;
    idle_.push_back({start, size});
  }

  bool owns(void* start) {
    const std::lock_guard lock(mutex_);
    return sizes_.contains(start);
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    while (!idle_.empty()) give_back_oldest();
    most_ = in_use_;
  }

  TensorMemory state() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(in_use_), static_cast<int64_t>(mapped_)};
  }

 private:
  void* map(size_t size) {
    if (size >= kCheckedFrom) {
      const int64_t left = available_memory();
      if (static_cast<int64_t>(size) < 0 || static_cast<int64_t>(size) > left) refuse(size, left);
    }
    void* const start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) refuse(size, available_memory());
    sizes_.emplace(start, size);
    mapped_ += size;
    return start;
  }

  [[noreturn]] static void refuse(size_t size, int64_t left) {
    constexpr double kGib = 1024.0 * 1024 * 1024;
    throw OutOfMemory(fmt::format("out of memory: one tensor needs {:.1f} GiB, {:.1f} GiB are left", static_cast<double>(size) / kGib,
                                  static_cast<double>(left) / kGib));
  }

  void give_back_oldest() {
    const Block block = idle_.front();
    idle_.erase(idle_.begin());
    sizes_.erase(block.start);
    mapped_ -= block.size;
    ::munmap(block.start, block.size);
  }

  std::mutex mutex_;
  std::vector<Block> idle_;  ///< the longest unused first
  std::unordered_map<void*, size_t> sizes_;
  size_t in_use_ = 0;
  size_t mapped_ = 0;
  size_t most_ = 0;  ///< largest in_use_ since the last trim
};

/// Lives as long as the process: tensors may be freed while it ends.
Pool& pool() {
  static auto* const one = new Pool;
  return *one;
}

void release(void* start) {
  if (reinterpret_cast<uintptr_t>(start) % kPage == 0 && pool().owns(start)) {
    pool().put_back(start);
  } else {
    c10::free_cpu(start);
  }
}

class PoolingAllocator final : public at::Allocator {
 public:
  at::DataPtr allocate(size_t bytes) override {
    void* const start = bytes < kSmallestPooled ? c10::alloc_cpu(bytes) : pool().take(bytes);
    return {start, start, &release, at::Device(at::kCPU)};
  }
  at::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

}  // namespace

void pool_tensor_memory() {
  static const bool done = [] {
    c10::SetCPUAllocator(new PoolingAllocator, /*priority=*/1);  // LibTorch owns it
    return true;
  }();
  (void)done;
}

void release_tensor_memory() { pool().trim(); }

TensorMemory tensor_memory() { return pool().state(); }

}  // namespace sparsify
