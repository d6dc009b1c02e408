#include "support/catch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "program/model_text.h"
#include "program/program.h"
#include "solvers/correction.h"

using namespace sparsify;

namespace {

/// The float32 initializers of a text model get varied numbers through this: name[shape] = values in [-1, 1].
std::string tensor(const std::string& name, const std::vector<int64_t>& shape, double phase) {
  std::string dimensions;
  int64_t count = 1;
  for (const int64_t size : shape) {
    dimensions += (dimensions.empty() ? "" : ",") + std::to_string(size);
    count *= size;
  }
  std::string values;
  for (int64_t i = 0; i < count; ++i) values += (i == 0 ? "" : ",") + std::to_string(std::sin(phase + 1.7 * static_cast<double>(i)));
  return "float[" + dimensions + "] " + name + " = {" + values + "}";
}

struct Case {
  TextModel model;
  ModelFile file;
  DataSource data;

  explicit Case(const std::string& text, int64_t samples = 40)
      : model("<ir_version: 8, opset_import: [\"\": 17]> " + text),
        file(model.load()),
        data("calibration", sets(samples), file.model().graph.inputs, 7) {}

  static std::map<std::string, Setting> sets(int64_t samples) {
    return {{"calibration", parse_yaml("{format: random, limit: " + std::to_string(samples) + ", batch_size: 16}", "test")}};
  }

  LayerTask layer(const std::string& initializer, double density, const std::string& solver, const std::string& pattern_text = "unstructured") const {
    for (const PrunableTensor& found : find_tensors(file)) {
      if (found.initializer != initializer) continue;
      LayerTask task{.tensor = found, .pattern = parse_yaml(pattern_text, "test"), .solver = parse_yaml(solver, "test"), .solver_path = "solver"};
      const auto pattern = make_pattern(task.pattern, "pattern");
      task.keep = std::llround(density * static_cast<double>(pattern->units(found)));
      const HostTensor weights = file.tensor_data(found.id).copy();
      task.mask = pattern->select(found, ScoreView::magnitudes(weights.bytes()), task.keep);
      return task;
    }
    FAIL("no tensor " << initializer);
    return {};
  }

  Correction correct(std::vector<LayerTask> layers, const std::string& state = "", bool resume = false) const {
    CorrectionTask task{.layers = std::move(layers), .calibration = &data, .threads = 1, .state_folder = state, .fingerprint = "test", .resume = resume};
    return Registry<CorrectionEngine>::instance().make("layerwise", Options())->correct(file, task);
  }

  /// sum over samples of |output - dense output|^2 with the corrected tensors in place.
  double output_error(const Correction& correction) const {
    const auto dense = Program::build(file);
    const auto pruned = Program::build(file);
    for (const auto& [id, values] : correction.tensors) {
      for (Parameter& parameter : pruned->parameters()) {
        if (parameter.tensor_id == id) parameter.tensor.copy_(from_host(values).tensor());
      }
    }
    double sum = 0;
    const auto stream = data.stream({});
    while (const auto batch = stream->next()) {
      const std::vector<Value> inputs{from_host(batch->inputs.front())};
      sum += (dense->run(inputs).outputs[0].tensor() - pruned->run(inputs).outputs[0].tensor()).square().sum().item<double>();
    }
    return sum;
  }
};

/// A bias that is stored in another type than it is computed in.
const std::string kCastBias = "g (float[N,5] x) => (float[N,3] y) <" + tensor("w", {5, 3}, .1) +
                              ", double[3] h = {0.5, -1, 0.25}> { i = Cast <to = 1> (h) b = Identity (i) y = Gemm (x, w, b) }";

const std::vector<std::string> kLayers = {
    "g (float[N,4,6,5] x) => (float[N,6,3,2] y) <" + tensor("w", {6, 4, 3, 3}, .1) + ", " + tensor("b", {6}, .5) +
        "> { y = Conv <strides = [2, 2], pads = [1, 0, 0, 1]> (x, w, b) }",
    "g (float[N,4,9] x) => (float[N,6,5] y) <" + tensor("w", {6, 2, 3}, .2) + "> { y = Conv <dilations = [2], group = 2> (x, w) }",
    "g (float[N,4,5,5] x) => (float[N,4,5,5] y) <" + tensor("w", {4, 1, 3, 3}, .3) +
        "> { y = Conv <group = 4, auto_pad = \"SAME_UPPER\"> (x, w) }",
    "g (float[N,4,4,4] x) => (float[N,6,9,9] y) <" + tensor("w", {4, 3, 3, 3}, .4) + ", " + tensor("b", {6}, .5) +
        "> { y = ConvTranspose <strides = [2, 2], group = 2> (x, w, b) }",
    "g (float[N,4,4,4] x) => (float[N,6,8,8] y) <" + tensor("w", {4, 6, 3, 3}, .4) +
        "> { y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]> (x, w) }",
    "g (float[N,5] x) => (float[N,3] y) <" + tensor("w", {3, 5}, .1) + ", " + tensor("b", {3}, .7) +
        "> { y = Gemm <transB = 1, alpha = 0.5> (x, w, b) }",
    "g (float[N,5] x) => (float[N,3] y) <" + tensor("w", {5, 3}, .1) + "> { y = Gemm (x, w) }",
    "g (float[N,7,5] x) => (float[N,7,3] y) <" + tensor("w", {5, 3}, .1) + ", " + tensor("b", {3}, .7) +
        "> { z = MatMul (x, w) y = Add (z, b) }",
    "g (float[N,5,7] x) => (float[N,3,7] y) <" + tensor("w", {3, 5}, .1) + "> { y = MatMul (w, x) }",
    "g (float[N,7,5] x) => (float[N,7,3] y) <" + tensor("w", {3, 5}, .1) +
        "> { t = Transpose <perm = [1, 0]> (w) y = MatMul (x, t) }",
    "g (float[N,5] x) => (float[1,N,3] y) <" + tensor("w", {1, 5, 3}, .1) + "> { y = MatMul (x, w) }",
    kCastBias,
    "g (float[N,5] x) => (float[N,3] y) <" + tensor("w", {5, 3}, .1) + ", " + tensor("h", {3}, .7) + "> { b = Sigmoid (h) y = Gemm (x, w, b) }",
};

const std::string kResidual =
    "g (float[N,6] x) => (float[N,4] y) <" + tensor("s", {6, 8}, .1) + ", " + tensor("a", {6, 8}, .9) + ", " + tensor("b", {8, 8}, .4) + ", " +
    tensor("c", {8, 4}, .6) +
    "> { short = MatMul (x, s) one = MatMul (x, a) r = Relu (one) two = MatMul (r, b) sum = Add (two, short) q = Relu (sum) y = MatMul (q, c) }";

/// Blocks at an edge have fewer weights: what is kept is counted in units.
int64_t units_kept(const Pattern& pattern, const PrunableTensor& layer, const BitMask& mask) {
  std::vector<float> kept(static_cast<size_t>(mask.size()));
  for (int64_t i = 0; i < mask.size(); ++i) kept[static_cast<size_t>(i)] = mask[i] ? 1.0F : 0.0F;
  std::vector<float> buffer;
  const ScoreView units = pattern.unit_scores(layer, std::span<const float>(kept), buffer);
  int64_t count = 0;
  for (int64_t unit = 0; unit < units.size(); ++unit) count += units[unit] > 0 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("Every layer is seen as the linear map that it computes", "[solvers][engine]") {
  for (const std::string& text : kLayers) {
    INFO(text);
    const Case layer(text);
    const Correction all = layer.correct({layer.layer("w", 1.0, "least_squares")});
    REQUIRE(all.layers[0].note.empty());
    REQUIRE(*all.layers[0].error_before < 1e-5);  // W X is what the network has there, to the rounding of float32 sums
    const Correction half = layer.correct({layer.layer("w", 0.5, "least_squares")});
    REQUIRE(*half.layers[0].error < *half.layers[0].error_before);
    REQUIRE(*half.layers[0].error > 0);
    // The error that the solver states is the network's own.
    double energy = 0;
    const auto dense = Program::build(layer.file);
    const auto stream = layer.data.stream({});
    while (const auto batch = stream->next()) energy += dense->run({from_host(batch->inputs.front())}).outputs[0].tensor().square().sum().item<double>();
    REQUIRE(layer.output_error(half) < energy);
  }
}

TEST_CASE("Solvers keep exactly as many weights as they are told, zeros are +0.0, patterns hold", "[solvers][engine]") {
  const Case layer("g (float[N,8,6,5] x) => (float[N,6,6,5] y) <" + tensor("w", {6, 8, 3, 3}, .1) + "> { y = Conv <pads = [1, 1, 1, 1]> (x, w) }");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"gradual", "unstructured"}, {"gradual", "'2:4'"}, {"gradual", "'1:4'"}, {"gradual", "{block: [2, 1]}"}, {"gradual", "per_row"},
      {"sparsegpt", "unstructured"}, {"{name: sparsegpt, block: 16}", "unstructured"}, {"sparsegpt", "'2:4'"}, {"{name: sparsegpt, block: 5}", "'2:4'"},
      {"obs", "unstructured"}, {"obs", "'2:4'"}, {"obs", "per_row"}, {"least_squares", "unstructured"}, {"{name: obs, target: dense}", "'1:4'"}};
  for (const auto& [solver, pattern] : cases) {
    INFO(solver << " " << pattern);
    const LayerTask task = layer.layer("w", 0.3, solver, pattern);
    const Correction done = layer.correct({task});
    const BitMask& mask = done.layers[0].mask;
    REQUIRE(mask.kept() == task.mask.kept());
    REQUIRE(make_pattern(task.pattern, "pattern")->violation(task.tensor, mask).empty());
    const HostTensor& values = done.tensors.at(task.tensor.id);
    for (int64_t i = 0; i < values.count(); ++i) {
      const auto bits = __builtin_bit_cast(uint32_t, values.data<float>()[i]);
      REQUIRE((mask[i] ? bits != 0 : bits == 0));
    }
    REQUIRE(*done.layers[0].error < *done.layers[0].error_before);
  }
}

TEST_CASE("Every solver with every pattern on every kind of layer is exact, or refused with a reason", "[solvers][engine][composition]") {
  std::vector<std::string> layers = kLayers;
  layers.push_back("g (float[N,16,4,4] x) => (float[N,8,4,4] y) <" + tensor("w", {8, 8, 3, 3}, .2) + "> { y = Conv <group = 2, pads = [1, 1, 1, 1]> (x, w) }");
  layers.push_back("g (float[N,12] x) => (float[N,8] y) <" + tensor("w", {8, 12}, .3) + "> { y = Gemm <transB = 1> (x, w) }");
  layers.push_back("g (float[N,3,12] x) => (float[N,3,8] y) <" + tensor("w", {12, 8}, .3) + "> { y = MatMul (x, w) }");
  std::map<std::string, int> ran;
  std::set<std::string> reasons;
  for (const std::string& text : layers) {
    const Case layer(text, 24);
    for (const std::string& solver : Registry<Solver>::instance().names()) {
      for (const char* pattern_text : {"unstructured", "per_row", "'2:4'", "'1:3'", "{n_of_m: {n: 2, m: 4, transposable: true}}", "{block: [2, 3]}"}) {
        INFO(solver << " x " << pattern_text << " on " << text.substr(0, 60));
        const auto pattern = make_pattern(parse_yaml(pattern_text, "test"), "pattern");
        std::string refused = make_solver(Setting(solver), "solver")->refuses(*pattern);
        if (refused.empty()) {
          for (const PrunableTensor& tensor : find_tensors(layer.file)) {
            if (tensor.initializer == "w") refused = pattern->refuses(tensor);
          }
        }
        if (!refused.empty()) {
          reasons.insert(refused);
          continue;
        }
        const LayerTask task = layer.layer("w", 0.4, solver, pattern_text);
        const Correction done = layer.correct({task});
        CHECK(done.layers[0].note.empty());
        CHECK(units_kept(*pattern, task.tensor, done.layers[0].mask) == units_kept(*pattern, task.tensor, task.mask));
        CHECK(make_pattern(task.pattern, "pattern")->violation(task.tensor, done.layers[0].mask).empty());
        const HostTensor& values = done.tensors.at(task.tensor.id);
        for (int64_t i = 0; i < values.count(); ++i) {
          const float value = values.data<float>()[i];
          CHECK(std::isfinite(value));
          if (!done.layers[0].mask[i]) CHECK(__builtin_bit_cast(uint32_t, value) == 0);
        }
        ++ran[solver];
      }
    }
  }
  for (const std::string& solver : Registry<Solver>::instance().names()) {
    INFO(solver);
    CHECK(ran[solver] >= 20);
  }
  CHECK(reasons.size() >= 5);
}

TEST_CASE("The gradual solver leaves less error than least squares on the magnitude mask", "[solvers][engine]") {
  const Case layer(kLayers[0], 64);
  const double gradual = *layer.correct({layer.layer("w", 0.2, "gradual")}).layers[0].error;
  const double once = *layer.correct({layer.layer("w", 0.2, "least_squares")}).layers[0].error;
  REQUIRE(gradual < once);
}

TEST_CASE("A layer that is added to a shortcut makes up for the shortcut's error", "[solvers][engine]") {
  const Case block(kResidual, 200);
  const auto error = [&](const std::string& solver) {
    return block.output_error(block.correct({block.layer("s", 0.6, "none"), block.layer("b", 0.9, solver)}));
  };
  REQUIRE(error("{name: gradual, shortcut: true}") < 0.8 * error("{name: gradual, shortcut: false}"));
}

TEST_CASE("In front of Relu what Relu lets through is matched, the rest by the share that is asked for", "[solvers][engine]") {
  const std::string weight = tensor("w", {6, 8, 3, 3}, .1);
  for (const std::string& text : {"g (float[N,8,6,5] x) => (float[N,6,3,5] y) <" + weight + "> { c = Conv <pads = [1, 1, 1, 1], strides = [2, 1]> (x, w) y = Relu (c) }",
                                  "g (float[N,7,12] x) => (float[N,7,9] y) <" + tensor("w", {12, 9}, .3) + "> { c = MatMul (x, w) y = Relu (c) }"}) {
    INFO(text);
    const Case layer(text, 200);
    // What is minimised: share s of |d - p|^2 where the dense value d is positive and of p^2 above zero elsewhere, the rest of |d - p|^2 everywhere.
    const auto error = [&](double share, const std::string& relu) {
      const Correction done = layer.correct({layer.layer("w", 0.3, "{name: least_squares, relu: " + relu + "}")});
      const auto dense = Program::build(layer.file);
      const auto pruned = Program::build(layer.file);
      pruned->find_parameter("w")->tensor = from_host(done.tensors.begin()->second).tensor();
      double sum = 0;
      const auto stream = layer.data.stream({});
      while (const auto batch = stream->next()) {
        const std::vector<Value> inputs{from_host(batch->inputs.front())};
        const at::Tensor d = dense->run(inputs, {.taps = {"c"}}).taps.at("c").tensor();
        const at::Tensor p = pruned->run(inputs, {.taps = {"c"}}).taps.at("c").tensor();
        const double let_through = at::where(d > 0, d - p, p.clamp_min(0)).square().sum().item<double>();
        sum += share * let_through + (1 - share) * (d - p).square().sum().item<double>();
      }
      return sum;
    };
    CHECK(error(1, "true") < error(1, "false"));
    CHECK(error(1, "1.0") == error(1, "true"));
    CHECK(error(0, "false") < error(0, "0.5"));
    CHECK(error(0.5, "0.5") < error(0.5, "true"));
    CHECK(error(0.5, "0.5") < error(0.5, "false"));
  }
}

TEST_CASE("The target from the dense network keeps errors from adding up", "[solvers][engine]") {
  const Case block(kResidual, 200);
  const auto error = [&](const std::string& target) {
    const std::string solver = "{name: gradual, target: " + target + "}";
    return block.output_error(block.correct({block.layer("a", 0.5, solver), block.layer("b", 0.5, solver), block.layer("c", 0.8, solver)}));
  };
  REQUIRE(error("dense") < error("own"));
}

TEST_CASE("A bias is fitted together with the weights, BatchNormalization's shift as well", "[solvers][engine]") {
  const std::string norm = tensor("gamma", {6}, .3) + ", " + tensor("beta", {6}, .2) + ", " + tensor("mean", {6}, .8) +
                           ", float[6] variance = {1, 2, 0.5, 1, 3, 1}";
  const Case with_norm("g (float[N,4,6,5] x) => (float[N,6,4,3] y) <" + tensor("w", {6, 4, 3, 3}, .1) + ", " + norm +
                       "> { o = Add (x, x) c = Conv (o, w) y = BatchNormalization (c, gamma, beta, mean, variance) }");
  const Correction fitted = with_norm.correct({with_norm.layer("w", 0.3, "{name: least_squares, bias: true}")});
  const Correction fixed = with_norm.correct({with_norm.layer("w", 0.3, "{name: least_squares, bias: false}")});
  REQUIRE(fitted.tensors.size() == 2);  // w and beta
  REQUIRE(fixed.tensors.size() == 1);
  REQUIRE(with_norm.output_error(fitted) <= with_norm.output_error(fixed) * 1.0001);
}

TEST_CASE("A bias behind Cast is fitted and goes back in its stored type; one that is no constant leaves the weights to be solved", "[solvers][engine]") {
  const Case cast(kCastBias);
  const Correction fitted = cast.correct({cast.layer("w", 0.5, "{name: gradual, bias: true}")});
  const Correction fixed = cast.correct({cast.layer("w", 0.5, "{name: gradual, bias: false}")});
  REQUIRE(fitted.warnings.empty());
  REQUIRE(fitted.tensors.size() == 2);
  REQUIRE(fixed.tensors.size() == 1);
  for (const auto& [id, values] : fitted.tensors) CHECK(values.type() == (values.count() == 3 ? DType::Float64 : DType::Float32));
  CHECK(cast.output_error(fitted) <= cast.output_error(fixed) * 1.0001);
  const Case computed(kLayers.back());
  for (const std::string solver : {"gradual", "{name: gradual, bias: false}", "sparsegpt", "{name: obs, target: dense}"}) {
    INFO(solver);
    const Correction done = computed.correct({computed.layer("w", 0.5, solver)});
    CHECK(done.warnings.empty());
    CHECK(done.layers[0].note.empty());
    CHECK(*done.layers[0].error < *done.layers[0].error_before);
    CHECK(done.tensors.size() == 1);
  }
}

TEST_CASE("Layers that cannot be solved are masked and named", "[solvers][engine]") {
  const Case shared("g (float[N,5] x) => (float[N,5] y) <" + tensor("w", {5, 5}, .1) + "> { z = MatMul (x, w) r = Relu (z) y = MatMul (r, w) }");
  const Correction done = shared.correct({shared.layer("w", 0.5, "gradual")});
  REQUIRE(done.layers[0].note == "used by 2 nodes");
  REQUIRE(done.warnings.size() == 1);
  REQUIRE_THAT(done.warnings[0], Catch::Contains("used by 2 nodes"));
  REQUIRE(done.tensors.size() == 1);  // with its zeros
}

TEST_CASE("An interrupted correction goes on with the layers that were finished", "[solvers][resume]") {
  const Case block(kResidual, 64);
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("sparsify-resume-" + std::to_string(::getpid()));
  const std::vector<LayerTask> layers = {block.layer("a", 0.5, "gradual"), block.layer("b", 0.5, "gradual"), block.layer("c", 0.8, "gradual")};
  const Correction first = block.correct(layers, folder.string());
  REQUIRE(std::distance(std::filesystem::directory_iterator(folder), {}) == 3);
  std::filesystem::remove(folder / ("solved-" + std::to_string(layers[2].tensor.id) + ".safetensors"));
  const Correction again = block.correct(layers, folder.string(), /*resume=*/true);
  REQUIRE(again.layers[0].resumed);
  REQUIRE(again.layers[1].resumed);
  REQUIRE_FALSE(again.layers[2].resumed);
  REQUIRE(again.tensors.size() == first.tensors.size());
  for (const auto& [id, values] : first.tensors) {
    const auto bytes = again.tensors.at(id).bytes();
    REQUIRE(std::equal(bytes.begin(), bytes.end(), values.bytes().begin(), values.bytes().end()));
  }
  // A file that another run left, or half of one, is not taken.
  std::ofstream(folder / ("solved-" + std::to_string(layers[0].tensor.id) + ".safetensors")) << "half";
  REQUIRE_FALSE(block.correct(layers, folder.string(), /*resume=*/true).layers[0].resumed);
  std::filesystem::remove_all(folder);
}

TEST_CASE("A damaged checkpoint of a layer is told and the layer solved again, whichever byte is wrong", "[solvers][resume]") {
  const Case block(kResidual, 64);
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("sparsify-damage-" + std::to_string(::getpid()));
  const std::vector<LayerTask> layers = {block.layer("a", 0.5, "gradual")};
  const Correction first = block.correct(layers, folder.string());
  const std::filesystem::path file = folder / ("solved-" + std::to_string(layers[0].tensor.id) + ".safetensors");
  std::string whole;
  {
    std::ifstream in(file, std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto with = [&](size_t at, const std::string& text) { return std::string(whole).replace(at, text.size(), text); };
  const size_t id = whole.find("\"" + std::to_string(layers[0].tensor.id) + "\":{\"dtype\"");
  const size_t shape = whole.find("[6,8]");
  REQUIRE(id != std::string::npos);
  REQUIRE(shape != std::string::npos);
  std::string flipped = whole;
  flipped[whole.size() - 2] = static_cast<char>(flipped[whole.size() - 2] ^ 1);  // one bit of a weight or of the mask
  const std::vector<std::string> damaged = {flipped, with(id, "\"x\""), with(shape, "[8,6]"), with(shape, "[6,9]"),
                                            with(whole.find("\"run\":\"test\"") + 7, "tess"), whole.substr(0, whole.size() - 4), "half"};
  for (const std::string& content : damaged) {
    std::ofstream(file, std::ios::binary) << content;
    const Correction again = block.correct(layers, folder.string(), /*resume=*/true);
    REQUIRE_FALSE(again.layers[0].resumed);
    REQUIRE(again.warnings.size() == first.warnings.size() + 1);
    REQUIRE_THAT(again.warnings.back(), Catch::Contains("is damaged") && Catch::Contains(file.filename().string()) && Catch::Contains("solved again"));
    const auto bytes = again.tensors.at(layers[0].tensor.id).bytes();
    const auto expected = first.tensors.at(layers[0].tensor.id).bytes();
    REQUIRE(std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end()));
    REQUIRE(block.correct(layers, folder.string(), /*resume=*/true).layers[0].resumed);  // written anew
  }
  // A file of another layer under this name.
  std::filesystem::rename(file, folder / "solved-other");
  const std::vector<LayerTask> others = {block.layer("b", 0.5, "gradual")};
  std::filesystem::rename(folder / "solved-other", folder / ("solved-" + std::to_string(others[0].tensor.id) + ".safetensors"));
  const Correction other = block.correct(others, folder.string(), /*resume=*/true);
  REQUIRE_FALSE(other.layers[0].resumed);
  REQUIRE(other.warnings.size() == 1);
  std::filesystem::remove_all(folder);
}
