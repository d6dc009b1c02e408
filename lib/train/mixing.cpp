#include "train/mixing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "data/convert.h"
#include "tensor/shape.h"

namespace sparsify {
namespace {

double uniform(Rng& rng) { return (static_cast<double>(rng.next() >> 11) + 0.5) * 0x1.0p-53; }

/// Beta(alpha, alpha) by Johnk's method.
double draw_share(double alpha, Rng& rng) {
  while (true) {
    const double x = std::pow(uniform(rng), 1 / alpha);
    const double y = std::pow(uniform(rng), 1 / alpha);
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
}

at::Tensor draw_partners(int64_t count, Rng& rng) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  return at::tensor(order, at::kLong);
}

/// Axis of the rows of images; the columns follow.
int64_t rows_axis(const at::Tensor& images) { return images.size(3) <= 4 && images.size(1) > 4 ? 1 : 2; }

void paste(at::Tensor& into_, const at::Tensor& from, const Rectangle& at) {
  const int64_t rows = rows_axis(into_);
  const auto part = [&](const at::Tensor& images) { return images.slice(rows, at.top, at.bottom).slice(rows + 1, at.left, at.right); };
  part(into_).copy_(part(from));
}

}  // namespace

Mixed mix(const TrainSettings& settings, const at::Tensor& input, Rng rng) {
  Mixed mixed{.input = input};
  if (settings.mixup <= 0 && settings.cutmix <= 0) return mixed;
  if (settings.cutmix > 0 && input.dim() != 4) {
    throw ConfigError{{.what = "cutmix wants images, and the model's first input is " + to_text(input.sizes().vec()),
                       .where = "train.cutmix",
                       .fix = "use mixup"}};
  }
  const bool cuts = settings.cutmix > 0 && (settings.mixup <= 0 || uniform(rng) < 0.5);
  mixed.share = draw_share(cuts ? settings.cutmix : settings.mixup, rng);
  mixed.partner = draw_partners(input.size(0), rng).to(input.device());
  const at::Tensor other = input.index_select(0, mixed.partner);
  if (!cuts) {
    mixed.input = input * mixed.share + other * (1 - mixed.share);
    return mixed;
  }
  const int64_t rows = rows_axis(input);
  const auto window = [&](int64_t size) {
    const auto half = static_cast<int64_t>(std::sqrt(1 - mixed.share) * static_cast<double>(size) / 2);
    const auto centre = static_cast<int64_t>(rng.below(static_cast<uint64_t>(size)));
    return std::pair(std::max<int64_t>(0, centre - half), std::min(size, centre + half));
  };
  const auto [top, bottom] = window(input.size(rows));
  const auto [left, right] = window(input.size(rows + 1));
  mixed.input = input.clone();
  mixed.pasted = Rectangle{.top = top, .bottom = bottom, .left = left, .right = right};
  paste(mixed.input, other, *mixed.pasted);
  const double cut = static_cast<double>((bottom - top) * (right - left)) / static_cast<double>(input.size(rows) * input.size(rows + 1));
  mixed.share = 1 - cut;  // of the pixels that are really its own
  return mixed;
}

at::Tensor mixed_alike(const Mixed& mixed, const at::Tensor& first, const at::Tensor& input) {
  const at::Tensor other = input.index_select(0, mixed.partner.to(input.device()));
  if (!mixed.pasted) return input * mixed.share + other * (1 - mixed.share);
  const auto size_of = [](const at::Tensor& images) { return std::pair(images.size(rows_axis(images)), images.size(rows_axis(images) + 1)); };
  if (input.dim() != 4 || size_of(input) != size_of(first)) {
    throw ConfigError{{.what = fmt::format("cutmix cuts one rectangle out of all inputs, and one is {}, another {}", to_text(first.sizes().vec()), to_text(input.sizes().vec())),
                       .where = "train.cutmix",
                       .fix = "use mixup"}};
  }
  at::Tensor images = input.clone();
  paste(images, other, *mixed.pasted);
  return images;
}

void require_mixable(const TrainSettings& settings, const std::vector<ValueInfo>& inputs) {
  if (settings.mixup <= 0 && settings.cutmix <= 0) return;
  std::vector<const ValueInfo*> floats;
  for (const ValueInfo& input : inputs) {
    if (is_float(input.type)) floats.push_back(&input);
  }
  const std::string key = settings.cutmix > 0 ? "cutmix" : "mixup";
  if (floats.empty()) {
    throw ConfigError{{.what = fmt::format("{} mixes inputs of floats, and the model has none{}", key, inputs.empty() ? "" : ": " + inputs.front().signature()),
                       .where = "train." + key,
                       .fix = "remove it: indices have no values between them"}};
  }
  if (settings.cutmix <= 0) return;
  for (const ValueInfo* input : floats) {
    if (!input->shape || input->shape->size() == 4) continue;
    throw ConfigError{{.what = fmt::format("cutmix wants images, and the input \"{}\" is {}", input->name, input->signature()),
                       .where = "train.cutmix",
                       .fix = "use mixup, which takes inputs of any shape"}};
  }
}

}  // namespace sparsify
