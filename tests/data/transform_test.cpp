#include "data/transform.h"

#include "fixtures.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

InputTransform make(const std::string& keys, const ArrayInfo& array,
                    std::optional<ImageLayout> layout, const ValueInfo& input) {
  return InputTransform(
      Options(parse_yaml(keys, "recipe.yaml"), "data.eval"),
      {.path = "data.eval", .source = "test", .array = array, .layout = layout, .input = input});
}

HostTensor apply(const InputTransform& transform, const HostTensor& raw, uint64_t stream = 0) {
  HostTensor result(transform.type(), transform.shape_of(raw.shape()));
  transform.write(raw, Rng(0, stream), result.mutable_bytes().data());
  return result;
}

const ArrayInfo kPicture{"images", DType::UInt8, {3, 1, 2}};

}  // namespace

TEST_CASE("pixels become (value / scale - mean) / std per channel", "[data][transform]") {
  const InputTransform transform =
      make("{scale: 100, mean: [0.5, 0, 1], std: [2, 1, 0.5]}", kPicture, ImageLayout::Chw,
           model_input("x", DType::Float32, {-1, 3, 1, 2}));
  const HostTensor raw =
      HostTensor::of<uint8_t>(DType::UInt8, {3, 1, 2}, {50, 250, 0, 100, 100, 200});
  CHECK(apply(transform, raw).to_floats() ==
        std::vector<float>{0.0f, 1.0f, 0.0f, 1.0f, 0.0f, 2.0f});
}

TEST_CASE("normalisation rounds as torchvision does", "[data][transform]") {
  const InputTransform transform =
      make("{scale: 255, mean: 0.485, std: 0.229}", {"images", DType::UInt8, {1, 1, 1}},
           ImageLayout::Chw, model_input("x", DType::Float32, {-1, 1, 1, 1}));
  const float value =
      apply(transform, HostTensor::of<uint8_t>(DType::UInt8, {1, 1, 1}, {200})).to_floats()[0];
  CHECK(value == (200.0f / 255.0f - 0.485f) / 0.229f);
}

TEST_CASE("the model's axes decide the layout, and layout overrules", "[data][transform]") {
  const HostTensor raw = HostTensor::of<uint8_t>(DType::UInt8, {3, 1, 2}, {1, 2, 3, 4, 5, 6});
  const InputTransform last =
      make("{}", kPicture, ImageLayout::Chw, model_input("x", DType::Float32, {-1, 1, 2, 3}));
  CHECK(last.shape_of(raw.shape()) == Shape{1, 2, 3});
  CHECK(apply(last, raw).to_floats() == std::vector<float>{1, 3, 5, 2, 4, 6});

  const InputTransform free = make("{layout: nhwc}", kPicture, ImageLayout::Chw,
                                   model_input("x", DType::Float32, {-1, -1, -1, -1}));
  CHECK(free.shape_of(raw.shape()) == Shape{1, 2, 3});
}

TEST_CASE("shapes that differ by axes of size 1 or by flattening fit", "[data][transform]") {
  const auto shape = [](const Shape& sample, const Shape& input) {
    return make("{}", {"x", DType::Float32, sample}, std::nullopt,
                model_input("x", DType::Float32, input))
        .shape_of(sample);
  };
  CHECK(shape({49, 10}, {-1, 1, 49, 10}) == Shape{1, 49, 10});
  CHECK(shape({49, 10, 1}, {-1, 49, 10}) == Shape{49, 10});
  CHECK(shape({28, 28}, {-1, 784}) == Shape{784});
  CHECK(shape({784}, {-1, 1, 28, 28}) == Shape{1, 28, 28});
  CHECK(shape({7}, {-1, -1}) == Shape{7});
  CHECK(shape({1}, {-1}) == Shape{});
}

TEST_CASE("a shape that does not fit names both shapes and the key that helps",
          "[data][transform]") {
  const auto problem = [](const Shape& stored, std::optional<ImageLayout> layout,
                          const Shape& input) {
    return problem_of<ShapeError>([&] {
      make("{}", {"images", DType::UInt8, stored}, layout,
           model_input("image", DType::Float32, input));
    });
  };
  const Problem resize = problem({3, 32, 32}, ImageLayout::Chw, {-1, 3, 24, 24});
  CHECK(contains(resize.what,
                 "the samples of \"images\" are uint8[3, 32, 32], the model's input \"image\" "
                 "takes float32["));
  CHECK(contains(resize.what, "3, 24, 24]"));
  CHECK(resize.where == "data.eval (test)");
  CHECK(contains(resize.fix, "set resize: [24, 24]"));
  CHECK(contains(problem({1, 28, 28}, ImageLayout::Chw, {-1, 3, 28, 28}).fix, "set channels: 3,"));
  CHECK(contains(problem({1, 28, 28}, ImageLayout::Chw, {-1, 3, 32, 32}).fix,
                 "set channels: 3 and resize: [32, 32]"));
  CHECK(problem({5, 4}, std::nullopt, {-1, 4, 5}).fix == "use data of the model's shape");

  const Problem turned = problem_of<ShapeError>([] {
    make("{layout: nchw}", kPicture, ImageLayout::Chw,
         model_input("x", DType::Float32, {-1, 1, 2, 3}));
  });
  CHECK(contains(turned.fix, "set layout: nhwc"));
}

TEST_CASE("grey images feed a colour model when channels says so", "[data][transform]") {
  const InputTransform transform =
      make("{channels: 3}", {"images", DType::UInt8, {1, 1, 2}}, ImageLayout::Chw,
           model_input("x", DType::Float32, {-1, 3, 1, 2}));
  const HostTensor raw = HostTensor::of<uint8_t>(DType::UInt8, {1, 1, 2}, {7, 9});
  CHECK(apply(transform, raw).to_floats() == std::vector<float>{7, 9, 7, 9, 7, 9});
}

TEST_CASE("resize takes the shorter side and center_crop the middle", "[data][transform]") {
  const InputTransform transform =
      make("{resize: 4, center_crop: [2, 4]}", {"images", DType::UInt8, {-1, -1, -1}},
           ImageLayout::Hwc, model_input("x", DType::Float32, {-1, 1, 2, 4}));
  // Four rows of 0, 10, 20, 30: already 4 on the shorter side; rows 1 and 2 remain, and columns 1
  // to 4 of 6.
  std::vector<uint8_t> rows;
  for (int y = 0; y < 4; ++y) rows.insert(rows.end(), 6, static_cast<uint8_t>(10 * y));
  const HostTensor raw = HostTensor::of<uint8_t>(DType::UInt8, {4, 6, 1}, rows);
  CHECK(transform.shape_of({4, 6, 1}) == Shape{1, 2, 4});
  CHECK(apply(transform, raw).to_floats() == std::vector<float>{10, 10, 10, 10, 20, 20, 20, 20});

  const Problem problem = problem_of<ShapeError>([&] {
    make("{center_crop: 4}", kPicture, ImageLayout::Chw,
         model_input("x", DType::Float32, {-1, 3, 4, 4}));
  });
  CHECK(problem.what == "center_crop [4, 4] is larger than an image of [1, 2]");
}

TEST_CASE("a random crop pads raw pixels with black, before normalisation",
          "[data][transform][augment]") {
  const InputTransform transform =
      make("{augment: [{random_crop: 2}], mean: 100}", {"images", DType::UInt8, {1, 2, 2}},
           ImageLayout::Chw, model_input("x", DType::Float32, {-1, 1, 2, 2}));
  const HostTensor raw = HostTensor::of<uint8_t>(DType::UInt8, {1, 2, 2}, {101, 102, 103, 104});
  bool seen_padding = false;
  bool seen_whole = false;
  for (uint64_t stream = 0; stream < 200; ++stream) {
    const std::vector<float> values = apply(transform, raw, stream).to_floats();
    CHECK(values == apply(transform, raw, stream).to_floats());
    for (const float value : values) {
      CHECK((value == -100.0f || (value >= 1.0f && value <= 4.0f)));  // black is (0 - 100), not 0
      seen_padding = seen_padding || value == -100.0f;
    }
    seen_whole = seen_whole || values == std::vector<float>{1, 2, 3, 4};
  }
  CHECK(seen_padding);
  CHECK(seen_whole);
}

TEST_CASE("flip mirrors about half of the images and leaves the others",
          "[data][transform][augment]") {
  const InputTransform transform =
      make("{augment: [flip]}", {"images", DType::UInt8, {1, 1, 2}}, ImageLayout::Chw,
           model_input("x", DType::Float32, {-1, 1, 1, 2}));
  const HostTensor raw = HostTensor::of<uint8_t>(DType::UInt8, {1, 1, 2}, {1, 2});
  int mirrored = 0;
  for (uint64_t stream = 0; stream < 1000; ++stream) {
    mirrored += static_cast<int>(apply(transform, raw, stream).to_floats()[0] == 2.0f);
  }
  CHECK(mirrored > 440);  // four standard deviations around 500
  CHECK(mirrored < 560);
}

TEST_CASE("mistakes in augment are named with their place", "[data][transform][augment]") {
  const auto problem = [](const std::string& keys) {
    return problem_of<ConfigError>([&] {
      make(keys, kPicture, ImageLayout::Chw, model_input("x", DType::Float32, {-1, 3, 1, 2}));
    });
  };
  CHECK(contains(problem("{augment: [flop]}").fix, "flip"));
  CHECK(contains(problem("{augment: [{random_crop: -1}]}").where, "data.eval.augment.0"));
  CHECK(problem("{mean: [1, 2]}").what == "mean has 2 numbers, \"images\" has 3 channels");
  CHECK(contains(problem("{std: 0}").where, "recipe.yaml:1 (data.eval.std)"));
}

TEST_CASE("integer inputs take integers in range and refuse others", "[data][transform][types]") {
  const InputTransform transform =
      make("{}", {"x", DType::Float64, {2}}, std::nullopt, model_input("x", DType::Int8, {-1, 2}));
  const auto raw = [](double a, double b) {
    return HostTensor::of<double>(DType::Float64, {2}, {a, b});
  };
  CHECK(apply(transform, raw(-128, 127)).to_integers() == std::vector<int64_t>{-128, 127});
  CHECK(problem_of<ResourceError>([&] { apply(transform, raw(128, 0)); }).what ==
        "value 128 is not one that int8 holds (-128 to 127)");
  CHECK(contains(problem_of<ResourceError>([&] { apply(transform, raw(0.5, 0)); }).what,
                 "value 0.5"));
  CHECK(problem_of<ResourceError>([&] { apply(transform, raw(0, std::nan(""))); }).what ==
        "element 1 is NaN");

  const InputTransform wide =
      make("{}", {"x", DType::Int64, {1}}, std::nullopt, model_input("x", DType::Int64, {-1, 1}));
  const int64_t large = (int64_t{1} << 62) + 1;  // no float64 holds it
  CHECK(apply(wide, HostTensor::of<int64_t>(DType::Int64, {1}, {large})).to_integers()[0] == large);
}

TEST_CASE("half-precision inputs are rounded, and overflow is an error",
          "[data][transform][types]") {
  const InputTransform transform = make("{scale: 4}", {"x", DType::Int32, {2}}, std::nullopt,
                                        model_input("x", DType::Float16, {-1, 2}));
  const auto raw = [](int a, int b) { return HostTensor::of<int32_t>(DType::Int32, {2}, {a, b}); };
  CHECK(apply(transform, raw(6, -1)).to_floats() == std::vector<float>{1.5f, -0.25f});
  CHECK(contains(problem_of<ResourceError>([&] { apply(transform, raw(300000, 0)); }).what,
                 "value 75000"));
}
