#include "solvers/sparse_convolution.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include "solvers/convolution_site.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

struct Convolution : ConvolutionSite {
  /// `weight` is the shape of w.
  Convolution(const std::vector<int64_t>& weight, const std::string& attributes)
      : ConvolutionSite(model(weight, attributes)) {}

  static std::string model(const std::vector<int64_t>& weight, const std::string& attributes) {
    int64_t count = 1;
    for (const int64_t size : weight) count *= size;
    std::string numbers;
    for (int64_t i = 0; i < count; ++i) numbers += (i == 0 ? "" : ",") + std::to_string(std::sin(1.3 * static_cast<double>(i)));
    const std::string axes = weight.size() == 3 ? "L" : "H,W";
    const std::string out = weight.size() == 3 ? "M" : "I,J";
    return fmt::format("<ir_version: 8, opset_import: [\"\": 17]> g (float[N,C,{}] x) => (float[N,{},{}] y) <float[{}] w = {{{}}}> {{ y = Conv <{}> (x, w) }}",
                       axes, weight[0], out, fmt::join(weight, ","), numbers, attributes);
  }
};

at::Tensor waves(const std::vector<int64_t>& shape, double step) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return at::arange(count, at::kDouble).mul(step).sin().view(shape).to(at::kFloat);
}

struct Example {
  std::vector<int64_t> weight;
  std::string attributes;
  std::vector<int64_t> input;
};

}  // namespace

TEST_CASE("A convolution with some weights gives its target in front of Relu and what that is for its weights", "[solvers][sparse]") {
  const std::vector<Example> examples = {
      {{5, 4, 3, 3}, "pads = [1, 1, 1, 1]", {7, 4, 6, 5}},
      {{3, 40, 3, 3}, "pads = [1, 1, 1, 1]", {2, 40, 33, 34}},  // several bands
      {{4, 3, 3, 3}, "pads = [1, 1, 1, 1], strides = [2, 2]", {3, 3, 9, 8}},
      {{6, 2, 3, 5}, "pads = [0, 2, 1, 3], strides = [2, 3], group = 2", {3, 4, 11, 17}},
      {{4, 3, 3, 2}, "auto_pad = \"SAME_LOWER\", strides = [2, 1], dilations = [1, 2]", {3, 3, 7, 9}},
      {{4, 1, 3, 3}, "pads = [1, 1, 1, 1], group = 4", {5, 4, 8, 8}},  // depthwise
      {{3, 6, 1, 1}, "strides = [2, 2]", {4, 6, 7, 7}},
      {{2, 3, 4}, "pads = [2, 1], dilations = [2], strides = [3]", {5, 3, 20}},
      {{2, 3, 1}, "strides = [2]", {5, 3, 1}},
  };
  for (const Example& example : examples) {
    INFO(fmt::format("w {}, {}", fmt::join(example.weight, " x "), example.attributes));
    Convolution conv(example.weight, example.attributes);
    const LinearSite& site = conv.site;
    const at::Tensor input = waves(example.input, 1.37);
    REQUIRE(SparseConvolution::fits(site, input));
    const std::vector<int64_t> output = output_shape(site, conv.step(), input);
    const at::Tensor dense = waves(output, 0.9);
    const at::Tensor full = to_matrix(site, conv.program->find_parameter("w")->tensor);
    const at::Tensor kept = full > -0.3;
    const at::Tensor weights = at::where(kept, full, at::zeros_like(full));
    for (const bool skips : {false, true}) {
      const at::Tensor skip = skips ? waves(output, 0.4) : at::Tensor();
      std::vector<RetargetedOutput> outputs;
      for (int64_t row = 0; row < site.rows; ++row) {
        const auto number = static_cast<float>(row);
        outputs.push_back({.scale = 0.5F + number, .shift = 0.1F * number, .constant = 0.05F, .factor = 1 / (0.5F + number), .pull = 0.25F * number});
      }
      SparseConvolution sparse(site, conv.step(), weights, kept, outputs);
      sparse.add(input.narrow(0, 0, 1), dense.narrow(0, 0, 1), skips ? skip.narrow(0, 0, 1) : at::Tensor());  // batches of two sizes
      const int64_t rest = input.size(0) - 1;
      sparse.add(input.narrow(0, 1, rest), dense.narrow(0, 1, rest), skips ? skip.narrow(0, 1, rest) : at::Tensor());

      const at::Tensor columns = site_columns(site, conv.step(), input, output).to(at::kDouble);
      const at::Tensor z = at::bmm(weights.view({site.groups, -1, site.columns}), columns).view({site.rows, -1});
      const at::Tensor added = skips ? site_rows(site, skip).to(at::kDouble) : at::zeros_like(z);
      const at::Tensor there = site_rows(site, dense).to(at::kDouble);
      const at::Tensor number = at::arange(site.rows, at::kDouble).unsqueeze(1);
      const at::Tensor now = z * (0.5 + number) + 0.1 * number + added;
      const at::Tensor below = now.clamp_max(0);
      const at::Tensor target = (at::where(there > 0, there, below + 0.25 * number * (there - below)) - added - 0.05) / (0.5 + number);
      const at::Tensor cross = at::bmm(target.view({site.groups, -1, target.size(1)}), columns.transpose(1, 2)).view({site.rows, -1});
      const double size = cross.abs().max().item<double>();
      CHECK((sparse.cross() - at::where(kept, cross, at::zeros_like(cross))).abs().max().item<double>() < 2e-5 * size);
      CHECK((sparse.sums() - target.sum(1)).abs().max().item<double>() < 2e-5 * target.abs().sum(1).max().item<double>());
      CHECK((sparse.squares() - target.square().sum(1)).abs().max().item<double>() < 2e-5 * target.square().sum(1).max().item<double>());
    }
  }
}

TEST_CASE("Only convolutions over one or two axes in float32 are taken weight by weight", "[solvers][sparse]") {
  const Convolution conv({2, 3, 3, 3}, "pads = [1, 1, 1, 1]");
  CHECK(SparseConvolution::fits(conv.site, waves({2, 3, 4, 4}, 1)));
  CHECK_FALSE(SparseConvolution::fits(conv.site, waves({2, 3, 4, 4}, 1).to(at::kDouble)));
  CHECK_FALSE(SparseConvolution::fits(conv.site, waves({2, 3, 4, 4, 4}, 1)));
  LinearSite product = conv.site;
  product.kind = LinearSite::Kind::Product;
  CHECK_FALSE(SparseConvolution::fits(product, waves({2, 3, 4, 4}, 1)));
}
