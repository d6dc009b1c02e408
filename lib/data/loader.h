#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace sparsify {

struct Batch {
  std::vector<HostTensor> inputs;    ///< in graph order, with the batch axis
  std::optional<HostTensor> labels;  ///< int64 [n] (or [n, positions]), or float32 targets
  std::vector<HostTensor> outputs;   ///< recorded outputs, if the source has them
  int64_t first = 0;  ///< position of the first sample (batched sources: record) in this pass
  std::vector<int64_t> records;  ///< of the real samples in the data set; one of a batched source
  int64_t count = 0;  ///< real samples in it; fewer than the batch axis where it was filled up
};

/// A named data set of the recipe: a format, a path and how a sample becomes the model's input.
///
/// Keys of every format:
///   format, path, split
///   skip        leaves out the first records: what a training set with `limit` does not use can validate
///   limit       only the first records, after `skip`
///   samples     a seeded random subset of that many records, after `limit`
///   shuffle     a new seeded order each epoch; on by default for the set named `train`
///   batch_size  128; a model with a fixed batch has the last word
///   classes     labels must lie in [0, classes)
/// `{from: train, samples: 1024}` takes another set with its keys (but skip, limit, samples and shuffle)
/// and draws from its records; keys given beside `from` replace the inherited ones. How samples are
/// transformed: data/transform.h.
class DataSource {
 public:
  /// `name` is the key in `sets` (`data:` of the recipe).
  ///
  ///   throws  ConfigError for unknown keys and sets, ResourceError / ShapeError for what does not
  ///   fit the model
  DataSource(const std::string& name, const std::map<std::string, Setting>& sets,
             const InputSignature& signature, uint64_t seed);
  ~DataSource();
  DataSource(DataSource&&) noexcept;
  DataSource& operator=(DataSource&&) noexcept;

  int64_t size() const;  ///< samples (batched sources: records) after `limit` and `samples`
  bool has_labels() const;
  bool has_class_labels() const;  ///< integers, as the first record says; floats are targets
  int64_t batch_size() const;
  /// `cifar10 data/cifar10, test (10000 samples)`
  std::string describe() const;
  /// Where a record (Batch::records) is, for messages: `data/cifar10/test_batch.bin, record 17`.
  std::string place(int64_t record) const;

  struct Pass {
    uint64_t epoch = 0;  ///< a new shuffle per epoch; the same (seed, epoch) gives the same order
    int64_t batch_size = 0;  ///< 0: the source's own
    bool drop_last = false;  ///< leaves out a last batch that is not full
    int workers = 1;         ///< prefetch threads; the batches do not depend on their number
    int64_t first_batch = 0;  ///< begins with this batch of the pass: a run that is resumed
    /// Then every so manyth: the share of one of several processes, `first_batch` modulo `stride` says which. All of them
    /// get equally many; where one has none left, a batch of the beginning comes with `count` 0.
    int64_t stride = 1;
  };
  /// What `pass` comes to: a model with a fixed batch and a batched source overrule it.
  int64_t batch_size_of(const Pass& pass) const;

  /// Streams batches, read ahead in other threads. A model with a fixed batch gets batches of that
  /// size: the last one is filled up by repeating its last sample, and `count` says how many are
  /// real.
  class Stream {
   public:
    virtual ~Stream() = default;
    /// nullopt after the last one. throws what went wrong in a reader thread, when its batch is due
    virtual std::optional<Batch> next() = 0;
    /// Seconds that next() waited for data.
    virtual double wait_seconds() const = 0;
  };
  std::unique_ptr<Stream> stream(const Pass& pass) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// The keys that all formats share, for `explain` and the recipe's schema.
std::vector<OptionRecord> common_data_options();

}  // namespace sparsify
