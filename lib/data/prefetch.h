#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "data/loader.h"

namespace sparsify {

/// Makes batches in other threads, a few ahead, and hands them out in order.
class PrefetchStream final : public DataSource::Stream {
 public:
  /// `make(i)` is called once for each i in [0, total), from the workers.
  PrefetchStream(int64_t total, int workers, std::function<Batch(int64_t)> make);
  ~PrefetchStream() override;

  std::optional<Batch> next() override;
  double wait_seconds() const override { return wait_seconds_; }

 private:
  struct Result {
    Batch batch;
    std::exception_ptr error;
  };
  void work();

  const int64_t total_;
  const int64_t window_;  ///< batches that are made or ready at one time
  const std::function<Batch(int64_t)> make_;

  std::mutex mutex_;
  std::condition_variable room_;    ///< a worker may begin another batch
  std::condition_variable filled_;  ///< a batch is ready
  int64_t claimed_ = 0;             ///< batches that workers have begun
  int64_t delivered_ = 0;
  bool stopped_ = false;
  std::map<int64_t, Result> ready_;
  double wait_seconds_ = 0;
  std::vector<std::thread> workers_;
};

}  // namespace sparsify
