#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace sparsify {

struct Batch {
  std::vector<HostTensor> inputs;   ///< in graph order, with the batch axis
  std::optional<HostTensor> labels; ///< int64 [n] (or [n, positions]), or float targets
  std::vector<HostTensor> outputs;  ///< recorded outputs, if the source has them
  int64_t first = 0;                ///< position of the first sample in this pass
  int64_t count = 0;                ///< samples in it
};

/// A named data set of the recipe: a format, a path and how a sample becomes the model's input.
/// Common keys: format, path, split, limit, shuffle, batch_size; images: layout, scale, mean, std, resize,
/// center_crop. `{from: train, samples: 1024}` takes a seeded subset of another set.
class DataSource {
 public:
  /// throws ConfigError for unknown keys, ResourceError / ShapeError for what does not fit the model
  DataSource(const Value& config, const std::map<std::string, Value>& all, const InputSignature& signature,
             uint64_t seed);
  ~DataSource();

  int64_t size() const;  ///< samples after `limit`
  bool has_labels() const;
  int64_t batch_size() const;
  std::string describe() const;

  struct Pass {
    uint64_t epoch = 0;       ///< a new shuffle per epoch; the same (seed, epoch) gives the same order
    int64_t batch_size = 0;   ///< 0: the source's own
    bool drop_last = false;
    int workers = 1;          ///< prefetch threads
  };

  /// Streams batches, read ahead in other threads. A model with a fixed batch gets batches of that size: the last
  /// one is filled up by repeating its last sample, and `count` says how many are real.
  class Stream {
   public:
    virtual ~Stream() = default;
    virtual std::optional<Batch> next() = 0;
    /// Seconds that next() waited for data.
    virtual double wait_seconds() const = 0;
  };
  std::unique_ptr<Stream> stream(const Pass& pass) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace sparsify
