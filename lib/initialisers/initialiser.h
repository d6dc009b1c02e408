#pragma once

#include <cstdint>
#include <optional>

#include "base/registry.h"
#include "config/options.h"
#include "mask/prunable.h"
#include "tensor/host_tensor.h"

namespace sparsify {

/// Connections of one unit of a layer.
struct Fan {
  int64_t in = 1;   ///< weights that one output sums over
  int64_t out = 1;  ///< outputs that one input reaches
};

/// Conv, ConvTranspose: (channels of one group) x (positions of the kernel); Gemm, MatMul, LSTM ...: inputs and outputs. Of a weight whose contracted
/// axis is not known, the elements of one output.
Fan fan_of(const PrunableTensor& weight);

/// Draws fresh weights. Every tensor has its own stream of random numbers, named by seed and initializer: the values depend neither on the
/// order of tensors nor on the number of threads.
class Initialiser {
 public:
  static constexpr const char* kFamily = "initialiser";
  /// Reads what all initialisers take: `distribution`, `seed`, `embedding`.
  explicit Initialiser(const Options& options);
  virtual ~Initialiser() = default;

  /// Standard deviation of the weights of a layer.
  virtual double deviation(const Fan& fan) const = 0;

  /// Mean 0; as wide as deviation(fan_of(tensor)) for weights, as the option `embedding` for embeddings.
  ///   returns  in type and shape of the file, which must be a floating-point type
  HostTensor draw(const PrunableTensor& tensor, uint64_t run_seed) const;

  /// `normal, seed 1`
  std::string describe(uint64_t run_seed) const;

 private:
  uint64_t seed(uint64_t run_seed) const { return seed_ ? static_cast<uint64_t>(*seed_) : run_seed; }

  bool is_uniform_;
  std::optional<int64_t> seed_;
  double embedding_;
};

/// A tensor of one value, in a floating-point type.
HostTensor filled(DType type, const Shape& shape, float value);

}  // namespace sparsify
