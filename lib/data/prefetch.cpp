#include "data/prefetch.h"

#include <algorithm>
#include <chrono>

namespace sparsify {

PrefetchStream::PrefetchStream(int64_t total, int workers, std::function<Batch(int64_t)> make)
    : total_(total), window_(std::max(1, workers) + 2), make_(std::move(make)) {
  const int64_t count = std::min<int64_t>(std::max(1, workers), total);
  for (int64_t i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
}

PrefetchStream::~PrefetchStream() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  room_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void PrefetchStream::work() {
  while (true) {
    int64_t index = 0;
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [this] {
        return stopped_ || claimed_ == total_ || claimed_ < delivered_ + window_;
      });
      if (stopped_ || claimed_ == total_) return;
      index = claimed_++;
    }
    Result result;
    try {
      result.batch = make_(index);
    } catch (...) {
      result.error = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      stopped_ = stopped_ || result.error != nullptr;
      ready_.emplace(index, std::move(result));
    }
    filled_.notify_one();
    room_.notify_all();
  }
}

std::optional<Batch> PrefetchStream::next() {
  std::unique_lock lock(mutex_);
  if (delivered_ == total_) return std::nullopt;
  const auto start = std::chrono::steady_clock::now();
  // All batches before a failed one were claimed before it, so they still arrive.
  filled_.wait(lock, [this] { return ready_.contains(delivered_); });
  wait_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const auto found = ready_.find(delivered_);
  if (found->second.error)
    std::rethrow_exception(found->second.error);  // stays: the pass cannot go on
  Batch batch = std::move(found->second.batch);
  ready_.erase(found);
  ++delivered_;
  lock.unlock();
  room_.notify_all();
  return batch;
}

}  // namespace sparsify
