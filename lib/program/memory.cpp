#include "program/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/memory.h"

namespace sparsify {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSmallestPooled = size_t{1} << 18;  ///< below, the C library's heap does well
constexpr size_t kCheckedFrom = size_t{1} << 28;     ///< from here on the memory that is left is looked at first
constexpr size_t kChunk = size_t{1} << 26;           ///< addresses asked for at once; they cost nothing until they are written

/// Ranges of a few large mappings. A range that comes free joins its neighbours and is cut for whoever fits, so that a network's
/// tensors of many sizes share the same pages. Pages that are idle go back to the system before the pool holds more than was
/// ever alive at once.
class Pool {
 public:
  void* take(size_t bytes) {
    const size_t size = (bytes + kPage - 1) / kPage * kPage;
    const std::lock_guard lock(mutex_);
    std::optional<Place> place = best_place(size);
    const size_t fresh = place ? place->fresh : size;
    if (fresh >= kCheckedFrom) {
      const int64_t left = available_memory();
      if (static_cast<int64_t>(fresh) < 0 || static_cast<int64_t>(fresh) > left) refuse(size, left);
    }
    if (!place) {
      map(size);
      place = best_place(size);
    }
    cut_out(place->start, size);
    in_use_ += size;
    most_ = std::max(most_, in_use_);
    used_.emplace(place->start, size);
    while (in_use_ + idle_ > most_) give_back_oldest(in_use_ + idle_ - most_);
    return place->start;
  }

  void put_back(void* start) {
    const std::lock_guard lock(mutex_);
    const auto found = used_.find(static_cast<std::byte*>(start));
    const size_t size = found->second;
    used_.erase(found);
    in_use_ -= size;
    idle_ += size;
    insert(static_cast<std::byte*>(start), {size, true, ++clock_});
  }

  bool owns(void* start) {
    const std::lock_guard lock(mutex_);
    return used_.contains(static_cast<std::byte*>(start));
  }

  void trim() {
    const std::lock_guard lock(mutex_);
    while (idle_ > 0) give_back_oldest(idle_);
    most_ = in_use_;
    for (auto chunk = chunks_.begin(); chunk != chunks_.end();) {
      const auto whole = free_.find(chunk->first);
      if (whole == free_.end() || whole->second.size != chunk->second) {
        ++chunk;
        continue;
      }
      ::munmap(chunk->first, chunk->second + kPage);
      free_.erase(whole);
      chunk = chunks_.erase(chunk);
    }
  }

  TensorMemory state() {
    const std::lock_guard lock(mutex_);
    return {static_cast<int64_t>(in_use_), static_cast<int64_t>(in_use_ + idle_)};
  }

 private:
  struct Range {
    size_t size = 0;
    bool resident = false;  ///< it has pages; neighbours that differ in this stay apart
    uint64_t freed = 0;
  };
  using Ranges = std::map<std::byte*, Range>;

  struct Place {
    std::byte* start = nullptr;
    size_t fresh = 0;  ///< bytes of it without pages
    size_t rest = 0;   ///< what would be left of the range it begins in
  };

  /// Where a tensor needs the fewest new pages; among those the range that it fills best.
  std::optional<Place> best_place(size_t size) const {
    std::optional<Place> best;
    for (auto first = free_.begin(); first != free_.end(); ++first) {
      Place place{first->first};
      size_t covered = 0;
      for (auto range = first; covered < size && range != free_.end() && range->first == first->first + covered; ++range) {
        if (!range->second.resident) place.fresh += std::min(range->second.size, size - covered);
        covered += range->second.size;
      }
      if (covered < size) continue;
      place.rest = first->second.size > size ? first->second.size - size : 0;
      if (!best || std::tie(place.fresh, place.rest) < std::tie(best->fresh, best->rest)) best = place;
    }
    return best;
  }

  /// Takes [start, start + size) out of the free ranges.
  void cut_out(std::byte* start, size_t size) {
    size_t left = size;
    for (auto range = free_.find(start); left > 0; range = free_.find(start + (size - left))) {
      Range rest = range->second;
      const size_t part = std::min(rest.size, left);
      if (rest.resident) idle_ -= part;
      std::byte* const behind = range->first + part;
      free_.erase(range);
      rest.size -= part;
      left -= part;
      if (rest.size > 0) free_.emplace(behind, rest);
    }
  }

  void insert(std::byte* start, Range range) {
    auto next = free_.lower_bound(start);
    if (next != free_.end() && next->first == start + range.size && next->second.resident == range.resident) {
      range.size += next->second.size;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second.size == start && before->second.resident == range.resident) {
        before->second.size += range.size;
        before->second.freed = range.freed;
        return;
      }
    }
    free_.emplace(start, range);
  }

  /// New addresses; the page behind them keeps neighbouring mappings apart.
  void map(size_t size) {
    const size_t whole = std::max(size, kChunk);
    void* const start = ::mmap(nullptr, whole + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) refuse(size, available_memory());
    chunks_.emplace(static_cast<std::byte*>(start), whole);
    insert(static_cast<std::byte*>(start), {whole, false, 0});
  }

  [[noreturn]] static void refuse(size_t size, int64_t left) {
    constexpr double kGib = 1024.0 * 1024 * 1024;
    throw OutOfMemory(fmt::format("out of memory: one tensor needs {:.1f} GiB, {:.1f} GiB are left", static_cast<double>(size) / kGib,
                                  static_cast<double>(left) / kGib));
  }

  /// Gives back at most `wanted` bytes of the range that was not used for longest.
  void give_back_oldest(size_t wanted) {
    auto oldest = free_.end();
    for (auto range = free_.begin(); range != free_.end(); ++range) {
      if (range->second.resident && (oldest == free_.end() || range->second.freed < oldest->second.freed)) oldest = range;
    }
    Range range = oldest->second;
    std::byte* const start = oldest->first;
    const size_t given = std::min(range.size, wanted);
    std::byte* const end = start + range.size;
    free_.erase(oldest);
    ::madvise(end - given, given, MADV_DONTNEED);  // from its end: it may grow into what follows
    idle_ -= given;
    if (range.size > given) free_.emplace(start, Range{range.size - given, true, range.freed});
    insert(end - given, {given, false, 0});
  }

  std::mutex mutex_;
  Ranges free_;
  std::map<std::byte*, size_t> chunks_;
  std::unordered_map<std::byte*, size_t> used_;
  size_t in_use_ = 0;
  size_t idle_ = 0;  ///< bytes of free ranges that have pages
  size_t most_ = 0;  ///< largest in_use_ since the last trim
  uint64_t clock_ = 0;
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
