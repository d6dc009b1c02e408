#include "data/image.h"

#include "data/decode.h"
#include "encoded_images.h"
#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

Image grey_image(int64_t height, int64_t width, const std::vector<int>& values) {
  Image image(DType::UInt8, 1, height, width);
  for (size_t i = 0; i < values.size(); ++i) image.pixels[i] = static_cast<std::byte>(values[i]);
  return image;
}

std::vector<int> values_of(const Image& image) {
  std::vector<int> values;
  for (const std::byte pixel : image.pixels) values.push_back(static_cast<int>(pixel));
  return values;
}

HostTensor decoded(const char* hex) {
  const std::string bytes = from_hex(hex);
  return decode_image(std::as_bytes(std::span(bytes.data(), bytes.size())), "picture");
}

std::vector<int64_t> pixel(const HostTensor& image, int64_t y, int64_t x) {
  const int64_t channels = image.shape()[2];
  const std::vector<int64_t> all = image.to_integers();
  const auto first = all.begin() + (y * image.shape()[1] + x) * channels;
  return {first, first + channels};
}

int64_t sum(const HostTensor& image) {
  int64_t total = 0;
  for (const int64_t value : image.to_integers()) total += value;
  return total;
}

}  // namespace

TEST_CASE("a window that reaches outside an image is black there", "[data][image]") {
  const Image image = grey_image(2, 3,
                                 {1, 2, 3,  //
                                  4, 5, 6});
  CHECK(values_of(crop(image, -1, 1, 2, 3)) == std::vector<int>{0, 0, 0, 2, 3, 0});
  CHECK(values_of(crop(image, 1, -2, 2, 3)) == std::vector<int>{0, 0, 4, 0, 0, 0});
  CHECK(values_of(crop(image, 5, 5, 1, 2)) == std::vector<int>{0, 0});
}

TEST_CASE("mirroring reverses every row of every channel", "[data][image]") {
  Image image(DType::UInt8, 2, 1, 3);
  for (size_t i = 0; i < 6; ++i) image.pixels[i] = static_cast<std::byte>(i);
  flip_horizontally(image);
  CHECK(values_of(image) == std::vector<int>{2, 1, 0, 5, 4, 3});
}

TEST_CASE("interleaved pixels become planes", "[data][image]") {
  const std::string bytes = "RGBrgb";
  const Image image(DType::UInt8, 3, 1, 2, ImageLayout::Hwc,
                    std::as_bytes(std::span(bytes.data(), 6)));
  CHECK(std::string(reinterpret_cast<const char*>(image.pixels.data()), 6) == "RrGgBb");
}

TEST_CASE("resizing gives Pillow's bilinear integers", "[data][image]") {
  std::vector<int> values;
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x) values.push_back((7 * y * y + 13 * x * x + 5 * y * x) % 256);
  }
  const Image image = grey_image(5, 7, values);
  CHECK(values_of(resize(image, 3, 4)) ==
        std::vector<int>{12, 70, 166, 166, 44, 114, 121, 123, 109, 150, 112, 130});
  CHECK(values_of(resize(image, 5, 3)) ==
        std::vector<int>{17, 114, 150, 28, 136, 183, 53, 112, 83, 93, 162, 144, 146, 105, 109});
  const std::vector<int> enlarged = values_of(resize(image, 8, 10));
  CHECK(std::vector<int>(enlarged.begin(), enlarged.begin() + 10) ==
        std::vector<int>{0, 7, 23, 50, 94, 149, 201, 104, 133, 212});
  CHECK(std::vector<int>(enlarged.end() - 10, enlarged.end()) ==
        std::vector<int>{112, 130, 160, 201, 93, 72, 138, 55, 98, 188});
  CHECK(values_of(resize(image, 5, 7)) == values);
}

TEST_CASE("colours become grey with Pillow's weights", "[data][image]") {
  Image image(DType::UInt8, 3, 1, 4);
  const int planes[] = {255, 0, 0, 10, 0, 255, 0, 200, 0, 0, 255, 77};
  for (size_t i = 0; i < 12; ++i) image.pixels[i] = static_cast<std::byte>(planes[i]);
  CHECK(values_of(with_channels(image, 1)) == std::vector<int>{76, 150, 29, 129});
  CHECK(values_of(with_channels(grey_image(1, 2, {7, 9}), 3)) ==
        std::vector<int>{7, 9, 7, 9, 7, 9});
}

TEST_CASE("JPEG files decode to the pixels that Pillow sees", "[data][decode]") {
  const HostTensor colour = decoded(kJpegColour);
  CHECK(colour.shape() == Shape{8, 16, 3});
  CHECK(sum(colour) == 44100);
  CHECK(pixel(colour, 7, 15) == std::vector<int64_t>{250, 217, 224});
  CHECK(pixel(colour, 3, 5) == std::vector<int64_t>{83, 91, 80});

  const HostTensor grey = decoded(kJpegGrey);
  CHECK(grey.shape() == Shape{8, 8, 1});
  CHECK(sum(grey) == 3584);
  CHECK(pixel(grey, 0, 2) == std::vector<int64_t>{32});

  const HostTensor cmyk = decoded(kJpegCmyk);
  CHECK(cmyk.shape() == Shape{8, 8, 3});
  CHECK(pixel(cmyk, 0, 0) == std::vector<int64_t>{255, 255, 253});
  CHECK(pixel(cmyk, 2, 5) == std::vector<int64_t>{162, 175, 170});
  CHECK(sum(cmyk) == 31996);
}

TEST_CASE("PNG files of every kind decode to 8-bit grey or colour", "[data][decode]") {
  for (const char* hex : {kPngColour, kPngPalette}) {
    const HostTensor image = decoded(hex);
    CHECK(image.shape() == Shape{2, 4, 3});
    for (int64_t i = 0; i < 24; ++i) CHECK(image.to_integers()[i] == 10 * i);
  }
  const HostTensor grey = decoded(kPngGreyAlpha);
  CHECK(grey.shape() == Shape{2, 3, 1});
  CHECK(grey.to_integers() == std::vector<int64_t>{0, 40, 80, 120, 160, 200});
  CHECK(decoded(kPngOneBit).to_integers() ==
        std::vector<int64_t>{255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255});
}

TEST_CASE("damaged pictures are refused with the file's name", "[data][decode]") {
  for (const char* hex : {kJpegColour, kPngColour}) {
    const std::string half = std::string(hex).substr(0, std::string(hex).size() - 40);
    const Problem problem = problem_of<ResourceError>([&] { decoded(half.c_str()); });
    CHECK(contains(problem.what, "is damaged: "));
    CHECK(problem.where == "picture");
  }
  CHECK(problem_of<ResourceError>([] { decoded("474946"); }).what ==
        "the file is neither JPEG nor PNG");
  CHECK(problem_of<ResourceError>([] { decoded(""); }).what == "the file is empty");
}
