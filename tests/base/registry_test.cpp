#include "base/registry.h"

#include <csignal>

#include "base/child.h"
#include "config/options.h"
#include "support/catch.h"

namespace sparsify {

namespace {

struct Fruit {
  static constexpr const char* kFamily = "fruit";
  virtual ~Fruit() = default;
  virtual std::string taste() const = 0;
};

struct Lemon final : Fruit {
  explicit Lemon(const Options&) {}
  std::string taste() const override { return "sour"; }
};
struct Banana final : Fruit {
  explicit Banana(const Options&) {}
  std::string taste() const override { return "sweet"; }
};

const Register<Fruit, Lemon> lemon{"lemon", "yellow and sour"};
const Register<Fruit, Banana> banana{"banana", "yellow and sweet"};

}  // namespace

TEST_CASE("plugins are made by name and listed in order", "[base][registry]") {
  const auto& registry = Registry<Fruit>::instance();
  CHECK(registry.names() == std::vector<std::string>{"banana", "lemon"});
  CHECK(registry.contains("lemon"));
  CHECK_FALSE(registry.contains("lemo"));
  CHECK(registry.make("lemon", Options{})->taste() == "sour");
  CHECK(registry.description("banana") == "yellow and sweet");
}

TEST_CASE("an unknown plugin is answered with the names, closest first", "[base][registry]") {
  try {
    Registry<Fruit>::instance().make("lemn", Options{});
    FAIL("no error");
  } catch (const ConfigError& e) {
    CHECK(e.problem().what == "no fruit is named \"lemn\"");
    CHECK(e.problem().where == "fruit");
    CHECK(e.problem().fix == "did you mean \"lemon\"? all: banana, lemon");
  }
}

TEST_CASE("a second plugin of one name ends the program", "[base][registry]") {
  CHECK(exit_code_in_child([] {
          std::freopen("/dev/null", "w", stderr);
          std::signal(SIGABRT, SIG_DFL);
          Registry<Fruit>::instance().add("lemon", "", nullptr);
          return 0;
        }) == -SIGABRT);
}

}  // namespace sparsify
