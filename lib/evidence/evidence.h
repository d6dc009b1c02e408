#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sparsify {

/// What a criterion must be told about a layer beside its weights. Flags can be combined.
enum class Evidence : unsigned {
  None = 0,
  InputSquares = 1U << 0,      ///< sums of squared inputs (Wanda)
  Activations = 1U << 1,       ///< statistics of each output channel (mean |o|, APoZ)
  FeatureRank = 1U << 2,       ///< rank of each channel's map (HRank); implies Activations
  Gradients = 1U << 3,         ///< mean dL/dw (SNIP, signed)
  GradientProducts = 1U << 4,  ///< mean over batches of |g w| and (g w)^2 (Taylor)
  ChannelProducts = 1U << 5,   ///< mean over batches of (sum of g w over a channel)^2 (Taylor per channel)
  Fisher = 1U << 6,            ///< mean over samples of g_n^2 (diagonal Fisher, OBD)
  InverseFisher = 1U << 7,     ///< diagonal of the block-wise inverse Fisher matrix (WoodFisher)
  GradientFlow = 1U << 8,      ///< Hessian x gradient (GraSP)
  HessianDiagonal = 1U << 9,   ///< Hutchinson's estimate
  SynapticFlow = 1U << 10,     ///< shares of SynFlow's R; needs no data
  BatchNormScale = 1U << 11,   ///< gamma of the BatchNormalization that follows; needs no data
  Movement = 1U << 12,         ///< scores that training accumulated
};

constexpr Evidence operator|(Evidence a, Evidence b) {
  return static_cast<Evidence>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool needs(Evidence all, Evidence one) {
  return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

/// Kinds for which the model runs over calibration data.
inline constexpr Evidence kFromData = Evidence::InputSquares | Evidence::Activations | Evidence::FeatureRank |
                                      Evidence::Gradients | Evidence::GradientProducts | Evidence::ChannelProducts |
                                      Evidence::Fisher | Evidence::InverseFisher | Evidence::GradientFlow |
                                      Evidence::HessianDiagonal;
/// Kinds that differentiate a loss.
inline constexpr Evidence kFromGradients = Evidence::Gradients | Evidence::GradientProducts | Evidence::ChannelProducts |
                                           Evidence::Fisher | Evidence::InverseFisher | Evidence::GradientFlow |
                                           Evidence::HessianDiagonal;

/// How evidence is collected; a criterion's options say so.
struct EvidenceOptions {
  /// auto: cross_entropy with class labels, mse with float targets, else squared_outputs.
  ///   cross_entropy    of the first output (scores, or probabilities) and the labels
  ///   mse              mean squared difference to float targets
  ///   squared_outputs  half the sum of squared outputs: how much the function itself moves, no labels needed
  ///   pseudo_labels    cross entropy with the model's own most likely class
  ///   outputs          the sum of the outputs: for a graph that computes its own loss
  std::string loss = "auto";
  double temperature = 1;         ///< scores are divided by it before the softmax
  int64_t samples_a_gradient = 1; ///< Fisher, InverseFisher: samples whose mean gradient counts as one
  int64_t block = 64;             ///< InverseFisher: consecutive weights of an output channel that are treated jointly
  double damping = 1e-5;          ///< InverseFisher: lambda
  int64_t probes = 1;             ///< HessianDiagonal: random vectors a batch
  bool finite_differences = false;  ///< GradientFlow, HessianDiagonal: instead of differentiating twice

  bool operator==(const EvidenceOptions&) const = default;
};

/// What was collected for one layer; a member is empty unless the criterion asked for it. Vectors with one element a
/// weight are in the stored layout of the weight; `channels` is PrunableTensor::output_channels().
struct LayerEvidence {
  uint64_t seed = 0;  ///< of the run; randomness is named by it and the initializer's name
  int64_t samples = 0;
  int64_t batches = 0;
  std::string missing{};  ///< why this layer's evidence could not be collected; "" where it is complete

  /// [groups, columns]: sums over samples and positions of x^2 for each column of the layer's matrix (mask/matrix_layout.h):
  /// for a Conv the columns of im2col (input channel of the group, kernel position), padding included.
  std::vector<double> input_squares{};
  int64_t input_groups = 1;

  std::vector<double> gradient{};            ///< [weights] mean over samples of dL/dw
  std::vector<double> product_magnitudes{};  ///< [weights] mean over batches of |g w|
  std::vector<double> product_squares{};     ///< [weights] mean over batches of (g w)^2
  std::vector<double> channel_squares{};     ///< [channels] mean over batches of (sum of g w)^2
  std::vector<double> fisher{};              ///< [weights] mean over samples of g_n^2
  std::vector<double> inverse_fisher{};      ///< [weights] diagonal of (lambda I + 1/N sum g g^T)^-1
  std::vector<double> hessian_gradient{};    ///< [weights] H g
  std::vector<double> hessian_diagonal{};    ///< [weights] estimate of diag(H)
  std::vector<double> synaptic_flow{};       ///< [weights] share of R: |theta| dR/d|theta| / R; sums to 1 over a layer
  std::vector<double> movement{};            ///< [weights] - sum over steps of dL/dw x w (arXiv:2005.07683)

  // Of each output channel, behind the BatchNormalization, bias and activation that follow the layer.
  std::string activation{};                ///< operator behind which was looked; "" = the layer's own output
  std::vector<double> mean_magnitude{};    ///< [channels] mean |o|
  std::vector<double> zero_fraction{};     ///< [channels] mean of o == 0
  std::vector<double> mean{};              ///< [channels]
  std::vector<double> variance{};          ///< [channels] biased
  std::vector<double> feature_rank{};      ///< [channels] mean rank of a sample's map
  std::vector<double> batch_norm_scale{};  ///< [channels] gamma
};

}  // namespace sparsify
