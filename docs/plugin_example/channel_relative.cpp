// An example of a user plugin: a criterion and an allocation in one library. docs/plugins.md explains it.
#include <algorithm>
#include <cmath>

#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

/// |weight| beside the other weights of its output channel, so that a channel on a small scale is not emptied.
/// For weights that are stored with their output channels first (Conv, Gemm with transB).
class ChannelRelative final : public Criterion {
 public:
  explicit ChannelRelative(const Options& options)
      : power_(options.number("power", 1.0, {.min = 0, .max = 2}, "0: plain magnitude; 1: divided by the channel's mean")) {}

  std::string refuses(const PrunableTensor& layer, const LayerSurroundings&) const override {
    return layer.output_axis == 0 ? "" : "its output channels are not stored first";
  }

  /// score[o, i] = |w[o, i]| / mean over i of |w[o, i]| ^ power
  void score(const PrunableTensor& layer, std::span<const float> weights, const LayerEvidence&,
             std::span<float> scores) const override {
    const auto channels = static_cast<size_t>(layer.output_channels());
    const size_t fan_in = weights.size() / channels;
    for (size_t channel = 0; channel < channels; ++channel) {
      const auto row = weights.subspan(channel * fan_in, fan_in);
      double mean = 0;
      for (const float weight : row) mean += std::fabs(weight) / static_cast<double>(fan_in);
      const double scale = mean > 0 ? std::pow(mean, -power_) : 0;
      for (size_t i = 0; i < fan_in; ++i) scores[channel * fan_in + i] = static_cast<float>(std::fabs(row[i]) * scale);
    }
  }

 private:
  double power_;
};

/// Every layer keeps what the target says, but whole units are rounded up in the first half of the network and down in the
/// second: shows the smallest possible allocation.
class FrontFirst final : public Allocator {
 public:
  explicit FrontFirst(const Options&) {}

  Budget allocate(const AllocationTask& task) const override {
    int64_t units = 0;
    for (const int64_t count : task.units) units += count;
    int64_t left = kept_count(units, task.sparsity);
    Budget budget;
    for (size_t i = 0; i < task.units.size(); ++i) {
      int64_t later = 0;  // what the layers behind must keep at least
      for (size_t k = i + 1; k < task.units.size(); ++k) later += task.floors[k];
      const auto share = static_cast<int64_t>(std::ceil((1 - task.sparsity) * static_cast<double>(task.units[i])));
      const bool last = i + 1 == task.units.size();
      budget.push_back(std::clamp(last ? left : std::min(share, left - later), task.floors[i], task.ceiling(i)));
      left -= budget.back();
    }
    return budget;
  }
};

const RegisterPlugin<Criterion, ChannelRelative> criterion{"channel_relative", "|weight| divided by the mean of its output channel; needs no data"};
const RegisterPlugin<Allocator, FrontFirst> allocation{"front_first", "uniform, rounded in favour of the first layers"};

}  // namespace

SPARSIFY_PLUGIN()
