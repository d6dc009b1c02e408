#include <cmath>

#include "base/error.h"
#include "initialisers/initialiser.h"
#include "support/catch.h"
#include "support/layers.h"

using namespace sparsify;
using Catch::Matchers::Contains;

namespace {

std::unique_ptr<Initialiser> made(const std::string& yaml) {
  const NamedOptions named = split_name(parse_yaml(yaml, "recipe.yaml"), "initialise");
  auto initialiser = Registry<Initialiser>::instance().make(named.name, named.options);
  named.options.reject_unread();
  return initialiser;
}

struct Moments {
  double mean = 0;
  double deviation = 0;
  double largest = 0;
};

Moments moments_of(const HostTensor& tensor) {
  const std::vector<float> values = tensor.to_floats();
  Moments moments;
  for (const float value : values) moments.mean += static_cast<double>(value) / static_cast<double>(values.size());
  for (const float value : values) {
    const double gap = static_cast<double>(value) - moments.mean;
    moments.deviation += gap * gap / static_cast<double>(values.size());
    moments.largest = std::max(moments.largest, std::fabs(static_cast<double>(value)));
  }
  moments.deviation = std::sqrt(moments.deviation);
  return moments;
}

/// [64, 32 / groups, 3, 3]
PrunableTensor grouped(int64_t groups) {
  PrunableTensor layer = conv_layer({64, 32 / groups, 3, 3});
  layer.groups = groups;
  return layer;
}

}  // namespace

TEST_CASE("the fan of a layer counts what one output sums and what one input reaches", "[initialisers]") {
  CHECK(fan_of(grouped(1)).in == 32 * 9);
  CHECK(fan_of(grouped(1)).out == 64 * 9);
  CHECK(fan_of(grouped(4)).in == 8 * 9);
  CHECK(fan_of(grouped(4)).out == 16 * 9);
  CHECK(fan_of(matmul_layer(300, 100)).in == 300);
  CHECK(fan_of(matmul_layer(300, 100)).out == 100);
  PrunableTensor gemm = conv_layer({100, 300}, "fc");
  gemm.op = "Gemm";
  CHECK(fan_of(gemm).in == 300);
  CHECK(fan_of(gemm).out == 100);
  PrunableTensor transposed = conv_layer({16, 8, 2, 2}, "up");  // [inputs, outputs / groups, ...]
  transposed.op = "ConvTranspose";
  transposed.input_axis = 0;
  transposed.output_axis = 1;
  transposed.groups = 2;
  CHECK(fan_of(transposed).in == 8 * 4);
  CHECK(fan_of(transposed).out == 8 * 4);
  PrunableTensor unknown = matmul_layer(12, 5);
  unknown.input_axis = -1;
  CHECK(fan_of(unknown).in == 12);
}

TEST_CASE("Kaiming and Xavier draw with the variance of their papers", "[initialisers]") {
  const PrunableTensor layer = matmul_layer(400, 100);
  const auto deviation = [&](const std::string& yaml) { return moments_of(made(yaml)->draw(layer, 0)).deviation; };
  // 40,000 values: the deviation of a sample deviation is 0.35 %.
  CHECK(deviation("kaiming") == Approx(std::sqrt(2.0 / 400)).epsilon(0.015));
  CHECK(deviation("{name: kaiming, mode: fan_out}") == Approx(std::sqrt(2.0 / 100)).epsilon(0.015));
  CHECK(deviation("{name: kaiming, gain: 1}") == Approx(std::sqrt(1.0 / 400)).epsilon(0.015));
  CHECK(deviation("xavier") == Approx(std::sqrt(2.0 / 500)).epsilon(0.015));
  CHECK(deviation("{name: xavier, distribution: uniform}") == Approx(std::sqrt(2.0 / 500)).epsilon(0.015));
  const Moments uniform = moments_of(made("{name: xavier, distribution: uniform}")->draw(layer, 0));
  CHECK(uniform.largest <= std::sqrt(6.0 / 500));
  CHECK(uniform.largest > 0.999 * std::sqrt(6.0 / 500));
  CHECK(std::fabs(uniform.mean) < 4 * std::sqrt(2.0 / 500) / 200);
  const Moments normal = moments_of(made("kaiming")->draw(layer, 0));
  CHECK(normal.largest > 3 * std::sqrt(2.0 / 400));  // tails
  CHECK(std::fabs(normal.mean) < 4 * std::sqrt(2.0 / 400) / 200);
}

TEST_CASE("fresh weights depend on the seed and the name alone", "[initialisers]") {
  const PrunableTensor layer = matmul_layer(20, 10);
  PrunableTensor other = layer;
  other.initializer = "other";
  const auto values = [](const std::string& yaml, const PrunableTensor& tensor, uint64_t run_seed) { return made(yaml)->draw(tensor, run_seed).to_floats(); };
  CHECK(values("kaiming", layer, 3) == values("kaiming", layer, 3));
  CHECK(values("kaiming", layer, 3) != values("kaiming", layer, 4));
  CHECK(values("kaiming", layer, 3) != values("kaiming", other, 3));
  CHECK(values("{name: kaiming, seed: 3}", layer, 9) == values("kaiming", layer, 3));
}

TEST_CASE("fresh weights come in the type of the file; embeddings have their own width", "[initialisers]") {
  PrunableTensor layer = matmul_layer(100, 100);
  const std::vector<float> exact = made("kaiming")->draw(layer, 0).to_floats();
  for (const DType type : {DType::Float16, DType::BFloat16, DType::Float64}) {
    layer.type = type;
    const HostTensor drawn = made("kaiming")->draw(layer, 0);
    REQUIRE(drawn.type() == type);
    CHECK(drawn.to_floats().at(7) == Approx(exact.at(7)).epsilon(0.01));
  }
  layer.type = DType::Float32;
  layer.kind = "embedding";
  CHECK(moments_of(made("kaiming")->draw(layer, 0)).deviation == Approx(0.02).epsilon(0.03));
  CHECK(moments_of(made("{name: kaiming, embedding: 1}")->draw(layer, 0)).deviation == Approx(1).epsilon(0.03));
  CHECK(filled(DType::Float16, {2, 2}, 1).to_floats() == std::vector<float>{1, 1, 1, 1});
}

TEST_CASE("options of initialisers out of range name themselves", "[initialisers]") {
  const auto what = [](const std::string& yaml) {
    try {
      made(yaml);
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK_THAT(what("{name: kaiming, gain: 0}"), Contains("gain"));
  CHECK_THAT(what("{name: kaiming, distribution: cauchy}"), Contains("distribution"));
  CHECK_THAT(what("{name: xavier, mode: fan_in}"), Contains("mode"));
  CHECK_THAT(what("{name: kaiming, seed: -1}"), Contains("seed"));
}
