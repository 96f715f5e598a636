#include "cli/axis.hpp"

#include "catch.hpp"

using namespace pumice;
using namespace pumice::cli;

namespace {

std::vector<std::string> values(const char* text) {
    const auto axis = parse_axis(text, "--x");
    if (!axis) FAIL(axis.failure().message);
    return axis->values;
}

std::string refused(const char* text) {
    const auto axis = parse_axis(text, "--x");
    REQUIRE_FALSE(axis);
    CHECK(axis.failure().status == PUMICE_INVALID_ARGUMENT);
    return axis.failure().message;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("an axis is an option and its values") {
    CHECK(values("steps=10,20, 30") == Texts{"10", "20", "30"});
    CHECK(values("sampler=euler,ddim") == Texts{"euler", "ddim"});
    CHECK(values("prompt=\"a, b\",say \"\"x\"\"") == Texts{"a, b", "say x"});
    CHECK(values("prompt=\"say \"\"x\"\"\"") == Texts{"say \"x\""});
    // A range is AUTOMATIC1111's; of a prompt it is text.
    CHECK(values("steps=1-4") == Texts{"1", "2", "3", "4"});
    CHECK(values("steps=10-50 (+20),7") == Texts{"10", "30", "50", "7"});
    CHECK(values("steps=1-10 [4]") == Texts{"1", "4", "7", "10"});
    CHECK(values("cfg=0-1 [5]") == Texts{"0", "0.25", "0.5", "0.75", "1"});
    CHECK(values("cfg=0-0.3 (+0.1)") == Texts{"0", "0.1", "0.2", "0.3"});
    CHECK(values("sampler.eta=0-1 [3]") == Texts{"0", "0.5", "1"});
    CHECK(values("prompt=1-4") == Texts{"1-4"});
}

TEST_CASE("what is no axis is told") {
    CHECK(refused("steps") ==
          "--x: steps is not NAME=VALUE,..., where NAME is an option of generate that takes a value, prompt, or a "
          "parameter as sampler.eta");
    CHECK(refused("stepz=1").find("--x: stepz=1 is not NAME=VALUE") == 0);
    CHECK(refused("batch=1,2").find("--x: ") == 0);
    CHECK(refused("steps=1,many") == "--x: many is not a whole number from 1 to 1000");
    CHECK(refused("steps=0-5") == "--x: 0 is not a whole number from 1 to 1000");
    CHECK(refused("seed=1-1000") == "--x: more than 100 values");
}

TEST_CASE("values are set where they belong") {
    Context context;
    context.line.prompt = "a red boat, red sails";
    context.settings.negative_prompt = "red sky";
    const auto set = [&](const char* text, std::size_t index) {
        const auto axis = parse_axis(text, "--x");
        REQUIRE(axis);
        return set_on(context, *axis, index);
    };
    REQUIRE(set("steps=10,20", 1));
    CHECK(context.settings.steps == 20);
    REQUIRE(set("sampler.eta=0,0.5", 1));
    CHECK(context.settings.given_plugin_params.at("sampler.eta") == "0.5");
    REQUIRE(set("prompt=red,dark red", 1));
    CHECK(context.line.prompt == "a dark red boat, dark red sails");
    CHECK(context.settings.negative_prompt == "dark red sky");
    const auto absent = set("prompt=green,blue", 0);
    REQUIRE_FALSE(absent);
    CHECK(absent.failure().message == "the prompt does not have green, which the grid is to replace");
}

TEST_CASE("a prompt matrix has every choice of the parts after the first") {
    CHECK(prompt_choices("a boat") == Texts{"a boat"});
    CHECK(prompt_choices("a boat| at night |fog") ==
          Texts{"a boat", "a boat, at night", "a boat, fog", "a boat, at night, fog"});
}
