#include "cli/command_line.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "catch.hpp"
#include "cli/exit_codes.hpp"
#include "cli/help.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"

using namespace pumice;
using namespace pumice::cli;
using Command = CommandLine::Command;

namespace {

Expected<CommandLine> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "pumice");
    return parse_command_line(int(arguments.size()), arguments.data());
}

std::string message(std::vector<const char*> arguments) {
    const auto parsed = parse(std::move(arguments));
    if (parsed) return "";
    CHECK(parsed.failure().status == PUMICE_INVALID_ARGUMENT);
    return parsed.failure().message;
}

}  // namespace

TEST_CASE("every option of generate is read") {
    const auto line =
        parse({"generate", "-p",         "a boat",      "-n",     "fog",       "-W",    "192",         "-H",
               "128",      "--steps=30", "--cfg",       "5.5",    "--sampler", "ddim",  "--schedule",  "karras",
               "--seed",   "7",          "--rng",       "philox", "-b",        "2",     "--clip-skip", "2",
               "--device", "1",          "--precision", "exact",  "-o",        "x.png", "-m",          "y",
               "--json",   "--config",   "c.toml",      "-q"});
    REQUIRE(line);
    CHECK(line->command == Command::generate);
    CHECK(line->prompt == "a boat");
    CHECK(line->settings.negative_prompt == "fog");
    CHECK(line->settings.width == 192u);
    CHECK(line->settings.height == 128u);
    CHECK(line->settings.steps == 30u);
    CHECK(line->settings.cfg == 5.5);
    CHECK(line->settings.sampler == "ddim");
    CHECK(line->settings.schedule == "karras");
    CHECK(line->settings.seed == 7u);
    CHECK(line->settings.rng == "philox");
    CHECK(line->settings.batch == 2u);
    CHECK(line->settings.clip_skip == 2u);
    CHECK(line->settings.device == "1");
    CHECK(line->settings.precision == "exact");
    CHECK(line->settings.model == "y");
    CHECK(line->output == "x.png");
    CHECK(line->config == "c.toml");
    CHECK(line->json);
    CHECK(line->quiet);
}

TEST_CASE("a prompt is taken as it is") {
    for (const char* prompt : {"", "[a] (b:1.2)", "[a, b]", "{}", "-3 degrees", "--steps", "\"quoted\"", "a\\nb", "%%",
                               "é 山", "[]", "a=b", "'x'", "B\"(0x41)\"", "true"}) {
        const auto line = parse({"generate", "-p", prompt});
        INFO(prompt);
        REQUIRE(line);
        CHECK(line->prompt == prompt);
    }
    const auto last = parse({"generate", "-p", "one", "--prompt", "two"});
    REQUIRE(last);
    CHECK(last->prompt == "two");
}

TEST_CASE("seeds may be any number of 64 bits, or random") {
    CHECK(parse({"generate", "-p", "x", "--seed", "18446744073709551615"})->settings.seed == 18446744073709551615u);
    CHECK_FALSE(parse({"generate", "-p", "x", "--seed", "-1"})->settings.seed);
    CHECK_FALSE(parse({"generate", "-p", "x", "--seed", "random"})->settings.seed);
    CHECK(message({"generate", "-p", "x", "--seed", "18446744073709551616"}) ==
          "--seed: 18446744073709551616 is not a whole number from 0 to 18446744073709551615, or random");
}

TEST_CASE("a wrong command line is told in one line") {
    CHECK(message({"generate"}) == "generate needs a prompt: -p \"what the picture shows\"");
    CHECK(message({"generate", "-p"}) == "--prompt needs a value");
    CHECK(message({"generate", "-p", "x", "--steps"}) == "--steps needs a value");
    CHECK(message({"generate", "-p", "x", "--stpes", "20"}) ==
          "generate takes no option --stpes; did you mean --steps?");
    CHECK(message({"generate", "-p", "x", "--stpes=20"}) == "generate takes no option --stpes; did you mean --steps?");
    CHECK(message({"generate", "-p", "x", "extra"}) == "generate takes no argument extra; see --help");
    CHECK(message({"generat"}) == "pumice takes no command generat; did you mean generate?");
    CHECK(message({"--verison"}) == "pumice takes no option --verison; did you mean --version?");
    CHECK(message({"models", "inspct", "x"}) == "models takes no command inspct; did you mean inspect?");
    CHECK(message({"models", "inspect"}) == "models inspect needs a file");
    CHECK(message({"devices", "--jsno"}) == "devices takes no option --jsno; did you mean --json?");
}

TEST_CASE("absurd values are told with option, value and limits") {
    const auto wrong = [](const char* flag, const char* value) {
        return message({"generate", "-p", "x", flag, value});
    };
    CHECK(wrong("--steps", "0") == "--steps: 0 is not a whole number from 1 to 1000");
    CHECK(wrong("--steps", "1e3") == "--steps: 1e3 is not a whole number from 1 to 1000");
    CHECK(wrong("--steps", "") == "--steps: \"\" is not a whole number from 1 to 1000");
    CHECK(wrong("-W", "-64") == "--width: -64 is not a multiple of 8 from 64 to 16384");
    CHECK(wrong("-W", "63") == "--width: 63 is not a multiple of 8 from 64 to 16384");
    CHECK(wrong("-H", "99999999999999999999") ==
          "--height: 99999999999999999999 is not a multiple of 8 from 64 to 16384");
    CHECK(wrong("--cfg", "nan") == "--cfg: nan is not a number from 0 to 100");
    CHECK(wrong("--cfg", "inf") == "--cfg: inf is not a number from 0 to 100");
    CHECK(wrong("--cfg", "-1") == "--cfg: -1 is not a number from 0 to 100");
    CHECK(wrong("-b", "65") == "--batch: 65 is not a whole number from 1 to 64");
    CHECK(wrong("--clip-skip", "0") == "--clip-skip: 0 is not a whole number from 1 to 64");
    CHECK(wrong("--plugin-param", "eta") == "--plugin-param: eta is not KIND.NAME=VALUE, as sampler.eta=0.5");
    CHECK(wrong("--plugin-param", "=1") == "--plugin-param: =1 is not KIND.NAME=VALUE, as sampler.eta=0.5");
    CHECK(wrong("--rng", "dice") == "--rng: dice is not one of torch-cpu, philox");
    CHECK(wrong("--precision", "fp61") ==
          "--precision: fp61 is not one of auto, fp16, fp32, exact; did you mean fp16?");
    CHECK(wrong("--model", "") == "--model: \"\" is not a path");
}

TEST_CASE("help names every option, and every line fits") {
    for (const char* command : {"", "generate", "devices", "models", "inspect", "plugins"}) {
        const std::string text = help_text(command);
        REQUIRE(text.size() > 40);
        CHECK(text.back() == '\n');
        std::size_t start = 0;
        while (start < text.size()) {
            const std::size_t end = text.find('\n', start);
            INFO(text.substr(start, end - start));
            CHECK(end - start <= 124);
            start = end + 1;
        }
    }
    for (const host::Setting& setting : host::all_settings()) {
        CHECK(help_text("generate").find(setting.flag) != std::string::npos);
        CHECK(help_text("generate").find(setting.environment) != std::string::npos);
    }
    CHECK(parse({"generate", "--help"})->help_of == "generate");
    CHECK(parse({"models", "inspect", "-h"})->help_of == "inspect");
    CHECK(parse({"models"})->help_of == "models");
    CHECK(parse({})->command == Command::help);
    CHECK(parse({"-V"})->command == Command::version);
}

TEST_CASE("every status has an exit code of its own") {
    std::set<int> seen;
    for (int status = PUMICE_OK; status <= PUMICE_NOT_FINITE; ++status) {
        const auto* found = std::find_if(std::begin(kExitCodes), std::end(kExitCodes),
                                         [&](const ExitCode& code) { return code.status == status; });
        INFO(pumice_status_name(pumice_status(status)));
        REQUIRE(found != std::end(kExitCodes));
        CHECK(seen.insert(exit_code(found->status)).second);
        CHECK(help_text("").find(found->meaning) != std::string::npos);
    }
    CHECK(exit_code(PUMICE_CANCELLED) == 130);
    CHECK(std::size(kExitCodes) == PUMICE_NOT_FINITE + 1);
    CHECK(std::string(pumice_status_name(pumice_status(PUMICE_NOT_FINITE + 1))) == "unknown");
}

TEST_CASE("times and rates are words for people") {
    CHECK(rate_text(3.4129) == "3.41 it/s");
    CHECK(rate_text(0.4) == "2.50 s/it");
    CHECK(duration_text(12.4) == "12 s");
    CHECK(duration_text(200) == "3 min 20 s");
    CHECK(duration_text(3900) == "1 h 5 min");
}

TEST_CASE("tables align") {
    CHECK(table_text({{">#", "name", "kind"}, {"10", "é", ""}, {"2", "abc", "x"}}) ==
          " #  name  kind\n10  é\n 2  abc   x\n");
}

TEST_CASE("upscale and preprocess") {
    const auto up = parse({"upscale", "in.png", "-o", "out.png", "-m", "x4.safetensors", "--scale", "2.5",
                           "--precision", "exact", "--plugin-param", "upscaler.tile=128", "--json"});
    REQUIRE(up);
    CHECK(up->command == Command::upscale);
    CHECK(up->picture == "in.png");
    CHECK(up->output == "out.png");
    CHECK(up->upscaler_model == "x4.safetensors");
    CHECK(up->method.empty());
    CHECK(up->scale == 2.5);
    CHECK(up->settings.precision == "exact");
    CHECK(!up->settings.model);  // the model of generate is another
    CHECK(up->settings.given_plugin_params.at("upscaler.tile") == "128");
    CHECK(up->json);
    const auto pre = parse({"preprocess", "pose", "-W", "512", "-H", "768", "--seed", "3"});
    REQUIRE(pre);
    CHECK(pre->command == Command::preprocess);
    CHECK(pre->method == "pose");
    CHECK(pre->picture.empty());
    CHECK(pre->width == 512);
    CHECK(pre->height == 768);
    CHECK(pre->seed == 3);
    const auto filtered = parse({"generate", "-p", "x", "--filter", "sharpen", "--filter", "adjust"});
    REQUIRE(filtered);
    CHECK(filtered->filters == std::vector<std::string>{"sharpen", "adjust"});
    CHECK(message({"upscale", "--upscaler", "lanczos"}) == "upscale needs a picture: a PNG file");
    CHECK(message({"preprocess"}) == "preprocess needs the name of a preprocessor: canny, pose, …");
    CHECK(message({"preprocess", "pose", "--width", "0"}) == "--width: 0 is not a whole number from 1 to 65536");
    CHECK(message({"upscale", "a", "b", "--upscaler", "x"}).find("upscale takes no argument b") == 0);
    for (const char* command : {"upscale", "preprocess"}) CHECK(parse({command, "--help"})->help_of == command);
}
