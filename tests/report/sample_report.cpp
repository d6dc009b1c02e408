#include "report/sample_report.h"

#include <fmt/core.h>

#include <cmath>

#include "base/rng.h"
#include "report/mask_picture.h"

namespace sparsify {

RunReport small_report() {
  RunReport report;
  report.command = "sparsify prune net.onnx -o slim.onnx --sparsity 0.9 --select '<all> & \"more\"'";
  report.started = "2026-03-01T12:30:05Z";
  report.versions = {{"sparsify", "0.1.0"}, {"LibTorch", "2.13.0"}};
  report.model = {.path = "nets/net.onnx", .sha256 = std::string(64, 'a'), .params = 1000, .nonzero = 1000,
                  .macs = 50000, .size_bytes = 4321, .gzip_bytes = 4000};
  report.result = ModelFigures{.path = "slim.onnx", .sha256 = std::string(64, 'b'), .params = 1000, .nonzero = 298,
                               .size_bytes = 4321, .gzip_bytes = 0};
  report.sparsity = 0.9;
  report.prunable = 780;
  report.pruned = 702;
  report.metric = MetricResult{.name = "top1", .before = 91.73, .after = 90.1, .samples = 10000,
                               .higher_is_better = true, .unit = "%", .data = "digits, split test"};
  report.layers = {
      {.name = "conv1", .initializer = "conv1.weight", .op = "Conv", .shape = {4, 3, 3, 3}, .type = "float32",
       .params = 108, .prunable = 108, .kept = 11, .target = 0.9, .sparsity = 97.0 / 108, .sparsity_before = 0,
       .macs = 27648, .pattern = "unstructured"},
      {.name = "</script><b>bold & 'quoted'\", \x01 \xFF", .initializer = "comma,\"quote\"", .op = "MatMul",
       .shape = {24, 28}, .type = "float16", .params = 672, .prunable = 672, .kept = 67,
       .sparsity = 605.0 / 672, .sparsity_before = 0.25, .pattern = "2:4",
       },
      {.name = "conv1", .initializer = "conv1.bias", .op = "Conv", .shape = {4}, .type = "float32", .params = 4,
       .prunable = 0, .kept = 4, .sparsity = 0, .sparsity_before = 0,
       .pattern = "", .skipped = "bias: not selected (kinds)"},
      {.name = "head", .initializer = "head.weight", .op = "Gemm", .shape = {10, 21}, .type = "float32",
       .params = 216, .prunable = 0, .kept = 216, .sparsity = 0, .sparsity_before = 0,
       .macs = 210, .pattern = "", .skipped = "last layer: kept unless selected"}};
  report.gradient_cuts = {{{.value = "best", .node = "pick<1>", .op = "ArgMax", .reason = "not differentiable", .weights = {}},
                           {.value = "rounded", .node = "round", .op = "Round", .reason = "flat everywhere", .weights = {"conv1.weight", "</b>"}}}};
  report.gates = {{.name = "max_accuracy_drop", .limit = 0.5, .actual = 1.63, .passed = false},
                  {.name = "min_sparsity", .limit = 0.9, .actual = 0.9, .passed = true}};
  report.verification = {{.check = "reload", .passed = true, .detail = "read back, 4 tensors"},
                         {.check = "pattern", .passed = false, .detail = "3 of 4 kept at \"w\"[0, 4] < 2:4 >"}};
  report.timings = {{"load_s", 0.25}, {"prune_s", 1.5}, {"total_s", 2.0}};
  report.warnings = {"<img src=x onerror=alert(1)> is no layer"};
  report.notes = {"2:4 needs a GPU with sparse tensor cores to gain speed."};
  report.recipe_yaml = "model: net.onnx\nprune:\n  - sparsity: 0.9  # <b>\n";
  return report;
}

RunReport resnet56_report() {
  RunReport report;
  report.command =
      "sparsify prune akamaster-resnet56-cifar10-bn.onnx -o slim.onnx --criterion magnitude --allocation lamp "
      "--sparsity 0.9 --data 'cifar10:data/cifar10,split=test,scale=255,mean=[0.485,0.456,0.406],std=[0.229,0.224,0.225]'";
  report.started = "2026-03-01T12:30:05Z";
  report.versions = {{"sparsify", "0.1.0"}, {"LibTorch", "2.13.0"}, {"ONNX", "1.23.2"}, {"compiler", "GCC 12.2.0"}};
  report.gates = {{.name = "max_accuracy_drop", .limit = 2, .actual = 1.27, .passed = true},
                  {.name = "min_sparsity", .limit = 0.9, .actual = 0.9, .passed = true}};
  report.verification = {
      {.check = "checker", .passed = true, .detail = "every node is known to its operator set, every name is produced once"},
      {.check = "reload", .passed = true, .detail = "read back from slim.onnx, 171 tensors"},
      {.check = "zero_counts", .passed = true, .detail = "768,413 zeros in 56 tensors, as planned"},
      {.check = "kept_weights_unchanged", .passed = true, .detail = "every kept weight has the bytes of the input model"},
      {.check = "outputs_equal", .passed = true, .detail = "masked program and written file: largest difference 4.8e-06 on 256 samples"}};
  report.timings = {{"load_s", 0.062}, {"score_s", 0.048}, {"select_s", 0.021}, {"evaluate_s", 41.2}, {"verify_s", 3.71}, {"write_s", 0.034}, {"total_s", 45.1}};
  report.warnings = {"layer3.8.conv2 keeps 312 of 36,864 weights (sparsity 0.9915): the accuracy of the model may hang on few of them"};
  report.notes = {
      "Unstructured zeros make the compressed file smaller. No general runtime computes faster because of them: ONNX Runtime and OpenVINO take the same time as with the dense file.",
      "LibTorch CSR gains from about 0.9 on for matrix products of 16 or more columns; measure it with `sparsify bench`."};
  report.recipe_yaml =
      "model: akamaster-resnet56-cifar10-bn.onnx\noutput: slim.onnx\nseed: 0\ndevice: auto\nthreads: 2\nprune:\n"
      "  - select:\n      ops: [Conv, Gemm, MatMul]\n      include: [\"*\"]\n      exclude: []\n    criterion: magnitude\n"
      "    pattern: unstructured\n    allocation: lamp\n    sparsity: 0.9\n    solver: none\nschedule: one_shot\nmetric: top1\n"
      "gates:\n  max_accuracy_drop: 2\n  min_sparsity: 0.9\nreport:\n  formats: [json, html, csv, junit]\n";

  const Rng rng{7};
  MaskSet masks;
  std::map<std::string, int> axes;
  const auto add = [&](const std::string& name, Shape shape, int64_t spatial, double target) {
    LayerRow row{.name = "/" + name + "/Conv", .initializer = name + ".weight", .op = "Conv", .shape = shape,
                 .type = "float32", .pattern = "unstructured"};
    row.params = row.prunable = element_count(shape);
    row.target = target;
    row.macs = row.params * spatial;
    BitMask bits(row.params);
    const int64_t fan_in = row.params / shape[0];
    for (int64_t i = 0; i < row.params; ++i) {
      // Channels differ in how much they keep, as in real networks.
      const double channel = 0.4 + 1.2 * rng.uniform_at(static_cast<uint64_t>(report.layers.size() * 1000 + i / fan_in));
      if (rng.uniform_at(1000000 + static_cast<uint64_t>(report.prunable + i)) < 1 - (1 - target) * channel) bits.prune(i);
    }
    row.kept = bits.kept();
    row.sparsity = static_cast<double>(bits.pruned()) / static_cast<double>(row.params);
    report.prunable += row.params;
    report.pruned += bits.pruned();
    masks.emplace_back(row.initializer, Mask{shape, std::move(bits)});
    axes[row.initializer] = 0;
    report.layers.push_back(std::move(row));
  };
  const auto skip = [&](const std::string& name, const std::string& op, Shape shape, const std::string& reason) {
    report.layers.push_back({.name = name, .initializer = name, .op = op, .shape = shape, .type = "float32",
                             .params = element_count(shape), .prunable = 0, .kept = element_count(shape),
                             .pattern = "", .skipped = reason});
  };
  skip("conv1.weight", "Conv", {16, 3, 3, 3}, "first layer: kept unless selected");
  for (int stage = 1; stage <= 3; ++stage) {
    const int64_t width = 8 << stage;
    for (int block = 0; block < 9; ++block) {
      for (int conv = 1; conv <= 2; ++conv) {
        const int64_t inputs = block == 0 && conv == 1 && stage > 1 ? width / 2 : width;
        const std::string name = fmt::format("layer{}.{}.conv{}", stage, block, conv);
        add(name, {width, inputs, 3, 3}, 4096 >> (2 * stage), 0.78 + 0.062 * stage + 0.0035 * block + 0.008 * (conv - 1));
        for (const char* part : {"weight", "bias"}) {
          skip(fmt::format("layer{}.{}.bn{}.{}", stage, block, conv, part), "BatchNormalization", {width}, "norm: not selected (kinds)");
        }
      }
    }
  }
  skip("linear.weight", "Gemm", {10, 64}, "last layer: kept unless selected");
  skip("linear.bias", "Gemm", {10}, "bias: not selected (kinds)");

  int64_t params = 0;
  for (const LayerRow& row : report.layers) params += row.params;
  report.sparsity = static_cast<double>(report.pruned) / static_cast<double>(report.prunable);
  report.model = {.path = "models/akamaster-resnet56-cifar10-bn.onnx",
                  .sha256 = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef", .params = params,
                  .nonzero = params, .macs = 125485824, .size_bytes = 3469871, .gzip_bytes = 3203441};
  report.result = report.model;
  report.result->path = "slim.onnx";
  report.result->sha256 = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d";
  report.result->nonzero = params - report.pruned;
  report.result->gzip_bytes = 553210;
  report.metric = MetricResult{.name = "top1", .before = 93.39, .after = 92.12, .samples = 10000,
                               .higher_is_better = true, .unit = "%", .data = "cifar10, split test"};
  report.pictures = draw_largest_masks(masks, axes);
  return report;
}

}  // namespace sparsify
