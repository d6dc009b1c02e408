#include <algorithm>
#include <numeric>

#include "data/image.h"
#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::unique_ptr<Augmentation> make(const std::string& name, const std::string& keys) {
  return Registry<Augmentation>::instance().make(name, Options(parse_yaml(keys, "recipe.yaml"), "augment"));
}

Image image_of(int64_t channels, int64_t height, int64_t width, const std::vector<int>& values) {
  Image image(DType::UInt8, channels, height, width);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::byte>(values[i % values.size()]);
  return image;
}

std::vector<int> values_of(const Image& image) {
  std::vector<int> values;
  for (const std::byte pixel : image.pixels) values.push_back(static_cast<int>(pixel));
  return values;
}

std::vector<int> changed(const Augmentation& augmentation, Image image, uint64_t stream) {
  Rng rng(1, stream);
  augmentation.apply(image, rng);
  return values_of(image);
}

}  // namespace

TEST_CASE("cutout blackens one rectangle, the same in every channel", "[data][augment]") {
  const auto cutout = make("cutout", "{value: 3}");
  const Image white = image_of(2, 6, 5, {255});
  std::vector<int64_t> sizes;
  for (uint64_t stream = 0; stream < 60; ++stream) {
    const std::vector<int> after = changed(*cutout, white, stream);
    CHECK(std::equal(after.begin(), after.begin() + 30, after.begin() + 30));
    int64_t top = 6, bottom = -1, left = 5, right = -1, black = 0;
    for (int64_t i = 0; i < 30; ++i) {
      if (after[static_cast<size_t>(i)] != 0) continue;
      ++black;
      top = std::min(top, i / 5);
      bottom = std::max(bottom, i / 5);
      left = std::min(left, i % 5);
      right = std::max(right, i % 5);
    }
    CHECK(black == (bottom - top + 1) * (right - left + 1));
    CHECK((bottom - top < 3 && right - left < 3 && black >= 4));  // a square of 3, cut at the edges
    sizes.push_back(black);
    CHECK(changed(*cutout, white, stream) == after);
  }
  CHECK(*std::max_element(sizes.begin(), sizes.end()) == 9);
  CHECK(*std::min_element(sizes.begin(), sizes.end()) < 9);
}

TEST_CASE("a random resized crop is a window of the asked size, resized to the whole", "[data][augment]") {
  const Image gradient = image_of(1, 8, 8, {0, 10, 20, 30, 40, 50, 60, 70});
  const auto whole = make("random_resized_crop", "{scale: [1, 1], aspect: [1, 1]}");
  CHECK(changed(*whole, gradient, 0) == values_of(gradient));
  const auto quarter = make("random_resized_crop", "{scale: [0.25, 0.25], aspect: [1, 1]}");
  std::vector<int> firsts;
  for (uint64_t stream = 0; stream < 40; ++stream) {
    const std::vector<int> after = changed(*quarter, gradient, stream);
    REQUIRE(after.size() == 64);
    CHECK(std::is_sorted(after.begin(), after.begin() + 8));
    CHECK(after[0] % 10 == 0);
    CHECK(after[7] - after[0] == 30);  // four of the eight columns
    CHECK(std::equal(after.begin(), after.begin() + 8, after.end() - 8));
    CHECK(changed(*quarter, gradient, stream) == after);
    firsts.push_back(after[0]);
  }
  CHECK(*std::min_element(firsts.begin(), firsts.end()) == 0);
  CHECK(*std::max_element(firsts.begin(), firsts.end()) == 40);
  CHECK_THROWS_AS(make("random_resized_crop", "{scale: [0.5, 0.2]}"), ConfigError);
}

TEST_CASE("colour jitter changes brightness, contrast and saturation within their bounds", "[data][augment]") {
  const Image colours = image_of(3, 2, 2, {10, 60, 90, 200, 40, 120, 240, 30, 80, 250, 5, 160});
  CHECK(changed(*make("color_jitter", "{brightness: 0, contrast: 0, saturation: 0}"), colours, 0) == values_of(colours));

  const auto brightness = make("color_jitter", "{brightness: 0.5, contrast: 0, saturation: 0}");
  const auto contrast = make("color_jitter", "{brightness: 0, contrast: 0.5, saturation: 0}");
  const auto saturation = make("color_jitter", "{brightness: 0, contrast: 0, saturation: 0.5}");
  const Image flat = image_of(1, 2, 2, {100});
  const Image two = image_of(1, 1, 2, {50, 150});
  const Image grey = image_of(3, 1, 1, {77});
  std::vector<int> seen;
  for (uint64_t stream = 0; stream < 60; ++stream) {
    const std::vector<int> bright = changed(*brightness, flat, stream);
    CHECK(std::all_of(bright.begin(), bright.end(), [&](int value) { return value == bright[0]; }));
    CHECK((bright[0] >= 50 && bright[0] <= 150));
    seen.push_back(bright[0]);
    CHECK(changed(*contrast, flat, stream) == values_of(flat));
    const std::vector<int> contrasted = changed(*contrast, two, stream);  // around the mean 100
    CHECK(contrasted[0] + contrasted[1] == 200);
    CHECK((contrasted[1] - contrasted[0] >= 50 && contrasted[1] - contrasted[0] <= 150));
    CHECK(changed(*saturation, grey, stream) == values_of(grey));
    CHECK(changed(*saturation, two, stream) == values_of(two));  // no colours, nothing to do
  }
  CHECK(*std::min_element(seen.begin(), seen.end()) < 70);
  CHECK(*std::max_element(seen.begin(), seen.end()) > 130);
}
