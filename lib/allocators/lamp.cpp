// LAMP: what a weight is worth beside the weights of its layer that outlive it.
// Lee et al. 2021, "Layer-adaptive Sparsity for the Magnitude-based Pruning", arXiv:2010.07611, eq. 4:
// score(u) = W[u]^2 / sum of W[v]^2 over all v that are not smaller, u included. The largest weight of a layer scores 1.
// W is the unit's score, so pair it with `criterion: magnitude`.
#include <fmt/core.h>

#include <array>
#include <bit>

#include "allocators/sharing.h"
#include "base/error.h"
#include "mask/score_sign.h"

namespace sparsify {
namespace {

/// Sorts non-negative floats, whose bits order as they do, by three digits of 11 bits.
void sort_ascending(std::vector<float>& values) {
  std::vector<float> other(values.size());
  for (int shift = 0; shift < 33; shift += 11) {
    const auto digit = [shift](float value) { return (std::bit_cast<uint32_t>(value) >> shift) & 0x7ff; };
    std::array<size_t, 2049> begin{};
    for (const float value : values) ++begin[digit(value) + 1];
    for (size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    for (const float value : values) other[begin[digit(value)]++] = value;
    values.swap(other);
  }
}

/// LAMP scores in the order of falling unit scores; that order is all the allocation needs.
void lamp_scores(ScoreView scores, const std::string& layer, std::vector<float>& buffer) {
  buffer.resize(static_cast<size_t>(scores.size()));
  for (int64_t i = 0; i < scores.size(); ++i) {
    const float score = scores[i];
    if (score < 0) {
      throw ConfigError{{.what = fmt::format("a score of \"{}\" is {}, and LAMP squares scores", layer, score),
                         .where = "allocation: lamp",
                         .fix = "use a criterion without negative scores, such as magnitude, or allocation: global"}};
    }
    buffer[static_cast<size_t>(i)] = score + 0.0f;  // -0.0 would sort last
  }
  sort_ascending(buffer);
  double larger = 0;  // from the largest end: a running difference would lose the tail
  for (size_t i = buffer.size(); i-- > 0;) {
    const double square = static_cast<double>(buffer[i]) * buffer[i];
    larger += square;
    buffer[i] = larger > 0 ? static_cast<float>(square / larger) : 0.0f;
  }
}

class Lamp final : public Allocator, public UnsignedScoresOnly {
 public:
  explicit Lamp(const Options&) {}

  Budget allocate(const AllocationTask& task) const override {
    return keep_highest(task, [&](size_t layer, std::vector<float>& buffer) {
      std::vector<float> scratch;
      const ScoreView scores = task.scores(layer, scratch);
      lamp_scores(scores, task.layers[layer].initializer, buffer);
      return ScoreView(buffer);
    });
  }
};

const Register<Allocator, Lamp> entry{"lamp", "layer-adaptive magnitude: never empties a layer; sorts every layer"};

}  // namespace
}  // namespace sparsify
