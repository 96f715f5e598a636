#include "config/config_file.hpp"

#include <cstring>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::host;

namespace {

std::string message(const std::string& toml) {
    const auto parsed = parse_config(toml, "config.toml");
    return parsed ? "" : parsed.failure().message;
}

pumice_status status(const std::string& toml) {
    const auto parsed = parse_config(toml, "config.toml");
    return parsed ? PUMICE_OK : parsed.failure().status;
}

}  // namespace

TEST_CASE("every setting is read from the configuration file") {
    const auto read = parse_config(R"(
device = "llvmpipe"
precision = "exact"
[generate]
model = "starter"
negative_prompt = "fog"
width = 192
height = 128
steps = 30
cfg = 5
sampler = "dpmpp_2m"
schedule = "karras"
seed = 7
rng = "philox"
batch = 2
clip_skip = 2
[paths]
models = "/models"
output = "/pictures"
cache = "/cache"
)",
                                   "config.toml");
    REQUIRE(read);
    CHECK(read->device == "llvmpipe");
    CHECK(read->precision == "exact");
    CHECK(read->model == "starter");
    CHECK(read->negative_prompt == "fog");
    CHECK(read->width == 192u);
    CHECK(read->height == 128u);
    CHECK(read->steps == 30u);
    CHECK(read->cfg == 5.0);
    CHECK(read->sampler == "dpmpp_2m");
    CHECK(read->schedule == "karras");
    CHECK(read->seed == 7u);
    CHECK(read->rng == "philox");
    CHECK(read->batch == 2u);
    CHECK(read->clip_skip == 2u);
    CHECK(read->models_folders == std::vector<std::string>{"/models"});
    CHECK(read->output_folder == "/pictures");
    CHECK(read->cache_folder == "/cache");
}

TEST_CASE("a mistake in the configuration is told with file, line and key") {
    CHECK(message("\n[generate]\nstpes = 20\n") ==
          "config.toml:3: generate.stpes: there is no such key; did you mean generate.steps?");
    CHECK(message("steps = 20") == "config.toml:1: steps: there is no such key; did you mean generate.steps?");
    CHECK(message("[generat]\n") == "config.toml:1: generat: there is no such key; did you mean generate?");
    CHECK(message("unheard = 1") == "config.toml:1: unheard: there is no such key");
    CHECK(message("[generate]\nsteps = \"many\"") ==
          "config.toml:2: generate.steps: this is a string, but must be a whole number from 1 to 1000");
    CHECK(message("[generate]\nsteps = 2.5") ==
          "config.toml:2: generate.steps: this is a number with a fraction, but must be a whole number from 1 to 1000");
    CHECK(message("[generate]\nsteps = true") ==
          "config.toml:2: generate.steps: this is true or false, but must be a whole number from 1 to 1000");
    CHECK(message("[generate]\nsteps = [20]") ==
          "config.toml:2: generate.steps: this is a list, but must be a whole number from 1 to 1000");
    CHECK(message("[generate]\nsteps = 0") == "config.toml:2: generate.steps: 0 is not a whole number from 1 to 1000");
    CHECK(message("[generate]\nwidth = 100") ==
          "config.toml:2: generate.width: 100 is not a multiple of 8 from 64 to 16384");
    CHECK(message("[generate]\ncfg = nan") == "config.toml:2: generate.cfg: nan is not a number from 0 to 100");
    CHECK(message("[generate]\nseed = -5") ==
          "config.toml:2: generate.seed: -5 is not a whole number from 0 to 18446744073709551615, or random");
    CHECK(message("device = 3") == "config.toml:1: device: this is a whole number, but must be a text");
    CHECK(message("precision = \"fp61\"") ==
          "config.toml:1: precision: fp61 is not one of auto, fp16, fp32, exact; did you mean fp16?");
    CHECK(message("generate = 1") == "config.toml:1: generate: this must be a table, [generate]");
    CHECK(message("[paths]\ncache = \"\"") == "config.toml:2: paths.cache: \"\" is not a path");
    CHECK(status("[generate]\nsteps = 0") == PUMICE_INVALID_ARGUMENT);
}

TEST_CASE("what is no TOML is told with line and column") {
    CHECK(message("device = \"a\"\nsteps = = 3\n").substr(0, 26) == "config.toml:2:9: not TOML:");
    CHECK(status("steps = = 3") == PUMICE_BAD_FORMAT);
    CHECK(status("a = 1\na = 2") == PUMICE_BAD_FORMAT);
    CHECK(status(std::string(100000, '[')) == PUMICE_BAD_FORMAT);
    CHECK(message(std::string("\0\xff\n", 3)).find('\n') == std::string::npos);
}

TEST_CASE("paths of the configuration are relative to its file, and ~ is the home folder") {
    test::TemporaryFolder folder;
    const auto file = folder.path() / "config.toml";
    test::write_file(
        file,
        "[generate]\nmodel = \"~/a.safetensors\"\n[paths]\nmodels = \"models\"\noutput = \"~\"\ncache = \"/c\"\n");
    const auto read = read_config(file, "/home/ada");
    REQUIRE(read);
    CHECK(read->models_folders == std::vector<std::string>{(folder.path() / "models").string()});
    CHECK(read->output_folder == "/home/ada");
    CHECK(read->cache_folder == "/c");
    CHECK(read->model == "/home/ada/a.safetensors");

    const auto absent = read_config(folder.path() / "none.toml", "");
    REQUIRE_FALSE(absent);
    CHECK(absent.failure().status == PUMICE_NOT_FOUND);
    const auto is_folder = read_config(folder.path(), "");
    REQUIRE_FALSE(is_folder);
    CHECK(is_folder.failure().status == PUMICE_IO);
}

TEST_CASE("configuration and cache lie where XDG says") {
    const auto plain = places_from_environment(
        [](const char* name) -> const char* { return std::strcmp(name, "HOME") == 0 ? "/home/ada" : nullptr; });
    CHECK(plain.config_home == "/home/ada/.config");
    CHECK(plain.cache_home == "/home/ada/.cache");
    CHECK(plain.config_dirs == std::vector<std::string>{"/etc/xdg"});
    const auto set = places_from_environment([](const char* name) -> const char* {
        if (std::strcmp(name, "HOME") == 0) return "/home/ada";
        if (std::strcmp(name, "XDG_CONFIG_HOME") == 0) return "/c";
        if (std::strcmp(name, "XDG_CONFIG_DIRS") == 0) return "/x:relative:/y";
        return std::strcmp(name, "XDG_CACHE_HOME") == 0 ? "relative" : nullptr;
    });
    CHECK(set.config_home == "/c");
    CHECK(set.cache_home == "/home/ada/.cache");
    CHECK(set.config_dirs == std::vector<std::string>{"/x", "/y"});

    test::TemporaryFolder folder;
    Places places;
    places.config_home = (folder.path() / "home").string();
    places.config_dirs = {(folder.path() / "system").string()};
    CHECK_FALSE(find_config(places));
    std::filesystem::create_directories(folder.path() / "system" / "pumice");
    test::write_file(folder.path() / "system" / "pumice" / "config.toml", "");
    CHECK(find_config(places) == folder.path() / "system" / "pumice" / "config.toml");
    std::filesystem::create_directories(folder.path() / "home" / "pumice");
    test::write_file(folder.path() / "home" / "pumice" / "config.toml", "");
    CHECK(find_config(places) == folder.path() / "home" / "pumice" / "config.toml");
}

TEST_CASE("the environment names its variable when a value is wrong") {
    const auto wrong = settings_from_environment(
        [](const char* name) -> const char* { return std::strcmp(name, "PUMICE_PRECISION") == 0 ? "exat" : nullptr; });
    REQUIRE_FALSE(wrong);
    CHECK(wrong.failure().message ==
          "PUMICE_PRECISION: exat is not one of auto, fp16, fp32, exact; did you mean exact?");
    const auto empty = settings_from_environment([](const char*) -> const char* { return ""; });
    REQUIRE(empty);
    CHECK_FALSE(empty->device);
}

TEST_CASE("what is set above wins over what is set below") {
    Settings flags, environment, file;
    flags.steps = 1;
    environment.steps = 2;
    environment.device = "e";
    file.steps = 3;
    file.device = "f";
    file.cfg = 4;
    const Settings all = overlay(flags, overlay(environment, file));
    CHECK(all.steps == 1u);
    CHECK(all.device == "e");
    CHECK(all.cfg == 4.0);
    CHECK_FALSE(all.width);
}
