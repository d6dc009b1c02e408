#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"
#include "data/transform.h"

namespace sparsify {

/// Puts records of a source together to batches for one model.
class Batcher {
 public:
  /// Reads the transform's keys and `classes` from `options`.
  ///
  ///   path     of the set: `data.eval`
  ///   throws   ConfigError, ShapeError as InputTransform does
  Batcher(std::unique_ptr<Dataset> dataset, const InputSignature& signature, const Options& options,
          const std::string& path, uint64_t seed);

  const Dataset& dataset() const { return *dataset_; }
  /// The model's own batch size; 0 where its batch axis is free.
  int64_t fixed_batch() const { return fixed_batch_; }

  /// Looks at the labels of these records where the format has them at hand and `classes` is given; those that it has not are looked at in make().
  /// throws ResourceError naming the first record with a label outside [0, classes), -100 (left out) excepted
  void check_labels(std::span<const int64_t> records) const;

  /// `records` are indices into the dataset; one of a batched source. Thread-safe.
  Batch make(std::span<const int64_t> records, uint64_t epoch) const;

 private:
  void find_fixed_batch(const InputSignature& signature, const std::string& place);
  void check_label(const HostTensor& label) const;
  void place_inputs(const Sample& sample, int64_t record, int64_t position, int64_t size,
                    uint64_t epoch, Batch& batch) const;
  void place_label(const Sample& sample, int64_t position, int64_t size, Batch& batch) const;

  std::unique_ptr<Dataset> dataset_;
  std::string path_;
  std::vector<InputTransform> transforms_;  ///< empty if the dataset is ready
  int64_t fixed_batch_ = 0;
  int64_t classes_ = -1;  ///< -1: not known
  uint64_t seed_;
};

}  // namespace sparsify
