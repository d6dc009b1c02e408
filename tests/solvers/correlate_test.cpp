#include "support/catch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <fmt/core.h>

#include "solvers/convolution_site.h"
#include "solvers/correlate.h"

using namespace sparsify;

namespace {

/// x of `channels` channels, a 3x3 convolution with that many groups and 2 outputs a group.
struct Convolution : ConvolutionSite {
  Convolution(int64_t channels, int64_t groups, const std::string& attributes)
      : ConvolutionSite(model(channels, groups, attributes)) {}

  static std::string model(int64_t channels, int64_t groups, const std::string& attributes) {
    const int64_t inputs = channels / groups;
    std::string numbers;
    for (int64_t i = 0; i < 2 * groups * inputs * 9; ++i) numbers += (i == 0 ? "" : ",") + std::to_string(0.1 * static_cast<double>(i % 7));
    return fmt::format("<ir_version: 8, opset_import: [\"\": 17]> g (double[N,{},H,W] x) => (double[N,{},I,J] y) <double[{},{},3,3] w = {{{}}}>"
                       " {{ y = Conv <group = {}, {}> (x, w) }}",
                       channels, 2 * groups, 2 * groups, inputs, numbers, groups, attributes);
  }
};

const char* const kSame = "pads = [1, 1, 1, 1]";

}  // namespace

TEST_CASE("correlations of an image give the products of its columns, edges and groups included", "[solvers][correlate]") {
  for (const auto& [channels, groups, height, width] : {std::tuple{4, 1, 7, 5}, std::tuple{6, 3, 3, 4}, std::tuple{3, 3, 6, 3}, std::tuple{1, 1, 40, 33}}) {
    INFO(channels << " channels, " << groups << " groups, " << height << " x " << width);
    const Convolution conv(channels, groups, kSame);
    const at::Tensor input = at::arange(50 * channels * height * width, at::kDouble).mul(1.37).sin().view({50, channels, height, width});
    const std::vector<int64_t> output{50, 2 * groups, height, width};
    REQUIRE(correlates(conv.site, conv.step(), input, output));
    const at::Tensor target = at::arange(50 * 2 * groups * height * width, at::kDouble).cos().view(output);
    Moments moments;
    add_moments(conv.site, conv.step(), input, output, [&](int64_t first, int64_t count, const at::Tensor&) {
      return site_rows(conv.site, target.narrow(0, first, count));
    }, true, moments);

    const at::Tensor columns = site_columns(conv.site, conv.step(), input, output);
    const at::Tensor rows = site_rows(conv.site, target);
    CHECK((moments.gram - at::bmm(columns, columns.transpose(1, 2))).abs().max().item<double>() < 1e-9);
    CHECK((moments.input_sum - columns.sum(2)).abs().max().item<double>() < 1e-9);
    const at::Tensor cross = at::bmm(rows.view({groups, 2, -1}), columns.transpose(1, 2)).view({2 * groups, -1});
    CHECK((moments.cross - cross).abs().max().item<double>() < 1e-9);
    CHECK((moments.target_sum - rows.sum(1)).abs().max().item<double>() < 1e-9);
    CHECK((moments.target_squares - rows.square().sum(1)).abs().max().item<double>() < 1e-9);
    CHECK(moments.count == 50.0 * height * width);
  }
}

TEST_CASE("only 3x3 convolutions that keep the size of the image are correlated", "[solvers][correlate]") {
  const at::Tensor input = at::arange(2 * 4 * 6 * 6, at::kDouble).view({2, 4, 6, 6});
  const std::vector<int64_t> same{2, 2, 6, 6};
  const Convolution automatic(4, 1, "auto_pad = \"SAME_UPPER\"");
  CHECK(correlates(automatic.site, automatic.step(), input, same));
  const Convolution strided(4, 1, "pads = [1, 1, 1, 1], strides = [2, 2]");
  CHECK_FALSE(correlates(strided.site, strided.step(), input, {2, 2, 3, 3}));
  const Convolution dilated(4, 1, "pads = [2, 2, 2, 2], dilations = [2, 2]");
  CHECK_FALSE(correlates(dilated.site, dilated.step(), input, same));
  const Convolution valid(4, 1, "pads = [0, 0, 0, 0]");
  CHECK_FALSE(correlates(valid.site, valid.step(), input, {2, 2, 4, 4}));
  const Convolution shifted(4, 1, "pads = [2, 1, 0, 1]");
  CHECK_FALSE(correlates(shifted.site, shifted.step(), input, same));
}

TEST_CASE("images that are correlated at once in float32 give what columns give in float64", "[solvers][correlate]") {
  for (const auto& [channels, groups, height, width] : {std::tuple{5, 1, 7, 5}, std::tuple{6, 3, 3, 4}, std::tuple{3, 3, 9, 8}, std::tuple{2, 1, 50, 33}}) {
    INFO(channels << " channels, " << groups << " groups, " << height << " x " << width);
    const Convolution conv(channels, groups, kSame);
    const std::vector<int64_t> output{7, 2 * groups, height, width};
    const at::Tensor input = at::arange(7 * channels * height * width, at::kDouble).mul(1.37).sin().add(0.3).view({7, channels, height, width}).to(at::kFloat);
    const at::Tensor target = at::arange(14 * groups * height * width, at::kDouble).cos().view(output).to(at::kFloat);
    Moments moments;
    prepare(conv.site, moments);
    add_correlations(conv.site, input, moments);
    add_cross_correlations(conv.site, input, target, moments);
    const at::Tensor columns = site_columns(conv.site, conv.step(), input.to(at::kDouble), output);
    const at::Tensor rows = site_rows(conv.site, target.to(at::kDouble));
    const at::Tensor gram = at::bmm(columns, columns.transpose(1, 2));
    const at::Tensor cross = at::bmm(rows.view({groups, 2, -1}), columns.transpose(1, 2)).view({2 * groups, -1});
    CHECK((moments.gram - gram).abs().max().item<double>() < 2e-6 * gram.abs().max().item<double>());
    CHECK((moments.input_sum - columns.sum(2)).abs().max().item<double>() < 1e-5 * columns.abs().sum(2).max().item<double>());
    CHECK((moments.cross - cross).abs().max().item<double>() < 2e-6 * gram.abs().max().item<double>());
  }
}
