#include "solvers/moments.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "solvers/correlate.h"

namespace sparsify {
namespace {

/// Elements of one chunk's columns: they stay in the cache of the processor, or nearly.
constexpr int64_t kChunk = int64_t{1} << 22;

/// Samples whose products with the target are summed in float32.
constexpr int64_t kGradientSamples = 32;

int64_t chunk_samples(const LinearSite& site, const at::Tensor& input, at::IntArrayRef output_shape) {
  if (site.kind == LinearSite::Kind::Product || input.dim() < 3) return input.size(0);
  int64_t positions = 1;
  for (size_t i = 2; i < output_shape.size(); ++i) positions *= output_shape[i];
  return std::clamp<int64_t>(kChunk / std::max<int64_t>(1, positions * site.columns * site.groups), 1, input.size(0));
}

/// The layer over its live inputs alone.
LinearSite narrowed(const LinearSite& site) {
  LinearSite narrow = site;
  const int64_t kernel = site.columns / site.tensor.shape[1];
  narrow.tensor.shape[1] = site.live_inputs.numel();
  narrow.columns = site.live_inputs.numel() * kernel;
  return narrow;
}

/// Where the columns of the narrowed layer stand in the whole one: [columns].
at::Tensor places_of(const LinearSite& site) {
  const int64_t kernel = site.columns / site.tensor.shape[1];
  return (site.live_inputs.unsqueeze(1) * kernel + at::arange(kernel, at::kLong)).view({-1});
}

void add_without_columns(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                         const TargetRows& target, bool with_gram, Moments& moments) {
  const at::Tensor values = input.scalar_type() == at::kDouble ? input : input.to(at::kFloat);
  if (with_gram) add_correlations(site, values, moments);
  if (!target) return;
  const at::Tensor rows = target(0, values.size(0), at::empty({site.groups, site.columns, 0}, values.options()));
  const at::Tensor outputs = rows.reshape({site.rows, values.size(0), values.size(2), values.size(3)}).transpose(0, 1).contiguous();
  for (int64_t first = 0; first < values.size(0); first += kGradientSamples) {
    const int64_t count = std::min(kGradientSamples, values.size(0) - first);
    std::vector<int64_t> shape = output_shape.vec();
    shape[0] = count;
    moments.cross.add_(site_weight_gradient(site, step, values.narrow(0, first, count), shape, outputs.narrow(0, first, count)));
  }
  moments.target_sum.add_(rows.sum(1));
  moments.target_squares.add_(rows.square().sum(1, false, at::kDouble));
}

}  // namespace

void prepare(const LinearSite& site, Moments& moments) {
  if (moments.gram.defined()) return;
  moments.gram = at::zeros({site.groups, site.columns, site.columns}, at::kDouble);
  moments.input_sum = at::zeros({site.groups, site.columns}, at::kDouble);
  moments.cross = at::zeros({site.rows, site.columns}, at::kDouble);
  moments.target_sum = at::zeros({site.rows}, at::kDouble);
  moments.target_squares = at::zeros({site.rows}, at::kDouble);
}

void add_moments(const LinearSite& site, const Step& step, const at::Tensor& input, at::IntArrayRef output_shape,
                 const TargetRows& target, bool with_gram, Moments& moments) {
  prepare(site, moments);
  const bool narrow = site.live_inputs.defined();
  const LinearSite used = narrow ? narrowed(site) : site;
  const at::Tensor places = narrow ? places_of(site) : at::Tensor();
  const at::Tensor values = narrow ? input.to(at::kCPU).index_select(1, site.live_inputs) : input.to(at::kCPU);
  if (!narrow && correlates(site, step, values, output_shape)) return add_without_columns(site, step, values, output_shape, target, with_gram, moments);
  const bool whole = site.kind == LinearSite::Kind::Product;
  const int64_t samples = whole ? 1 : values.size(0);
  const int64_t chunk = whole ? 1 : chunk_samples(used, values, output_shape);
  for (int64_t first = 0; first < samples; first += chunk) {
    const int64_t count = std::min(chunk, samples - first);
    std::vector<int64_t> shape = output_shape.vec();
    if (!whole) shape[0] = count;
    at::Tensor columns = site_columns(used, step, whole ? values : values.narrow(0, first, count), shape);
    if (columns.scalar_type() != at::kDouble) columns = columns.to(at::kFloat);
    if (with_gram) {
      const at::Tensor gram = at::bmm(columns, columns.transpose(1, 2)).to(at::kDouble);
      const at::Tensor sums = columns.sum(2).to(at::kDouble);
      if (narrow) {
        moments.gram[0].index_put_({places.unsqueeze(1), places.unsqueeze(0)}, gram[0], /*accumulate=*/true);
        moments.input_sum.index_add_(1, places, sums);
      } else {
        moments.gram.add_(gram);
        moments.input_sum.add_(sums);
      }
      moments.count += static_cast<double>(columns.size(2));
    }
    if (!target) continue;
    const at::Tensor rows = target(first, count, columns);
    const at::Tensor grouped = rows.view({site.groups, -1, rows.size(1)});
    const at::Tensor cross = at::bmm(grouped, columns.transpose(1, 2)).view({site.rows, used.columns}).to(at::kDouble);
    if (narrow) moments.cross.index_add_(1, places, cross);
    else moments.cross.add_(cross);
    moments.target_sum.add_(rows.sum(1));
    moments.target_squares.add_(rows.square().sum(1, false, at::kDouble));
  }
}

}  // namespace sparsify
