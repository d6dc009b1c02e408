#include "base/error.h"
#include "support/catch.h"
#include "train/settings.h"

using namespace sparsify;

namespace {

TrainSettings read(const std::string& yaml) { return read_train_settings(parse_yaml(yaml, "r.yaml")); }

}  // namespace

TEST_CASE("the keys of train are read with their defaults", "[train][settings]") {
  const TrainSettings settings = read("{epochs: 5, optimizer: {name: adamw, lr: 1e-4, betas: [0.8, 0.9]}, loss: {name: cross_entropy, label_smoothing: 0.1}}");
  CHECK(settings.epochs == 5);
  CHECK(settings.optimizer.name == "adamw");
  CHECK(settings.optimizer.lr == 1e-4);
  CHECK(settings.optimizer.beta2 == 0.9);
  CHECK(settings.optimizer.weight_decay == 1e-2);
  CHECK(settings.loss.label_smoothing == 0.1);
  CHECK_FALSE(settings.distill.active);
  CHECK(read("{loss: distill}").distill.weight == 1);
  CHECK(read("{distill: {temperature: 2}}").distill.active);
  CHECK(read("{groups: {include: ['*bias'], frozen: true}}").groups.at(0).frozen);
  CHECK_FALSE(train_options().empty());
}

TEST_CASE("wrong keys of train are refused with their place", "[train][settings]") {
  CHECK_THROWS_WITH(read("{epoch: 5}"), Catch::Contains("epochs"));
  CHECK_THROWS_WITH(read("{epochs: 0}"), Catch::Contains("train.epochs"));
  CHECK_THROWS_WITH(read("{epochs: 3, steps: 2}"), Catch::Contains("epochs and steps both") && Catch::Contains("train.steps"));
  CHECK(read("{epochs: null, steps: 2}").steps == 2);
  CHECK_THROWS_WITH(read("{optimizer: sdg}"), Catch::Contains("no optimizer is named \"sdg\"") && Catch::Contains("sgd"));
  CHECK_THROWS_WITH(read("{optimizer: {name: adam, momentum: 0.9}}"), Catch::Contains("momentum"));
  CHECK_THROWS_WITH(read("{optimizer: {name: sgd, momentum: 0, nesterov: true}}"), Catch::Contains("Nesterov"));
  CHECK_THROWS_WITH(read("{loss: crossentropy}"), Catch::Contains("cross_entropy"));
  CHECK_THROWS_WITH(read("{distill: {temperature: 0}}"), Catch::Contains("temperature"));
  CHECK_THROWS_WITH(read("{loss: distill, distill: {weight: 0.3}}"), Catch::Contains("no other loss") && Catch::Contains("train.distill.weight"));
  CHECK(read("{loss: distill, distill: {weight: 1}}").distill.weight == 1);
  CHECK_THROWS_WITH(read("{batch_norm: off}"), Catch::Contains("batch_norm"));
  CHECK_THROWS_WITH(read("{lr_schedule: {name: cosine, warmup: -1}}"), Catch::Contains("warmup"));
}
