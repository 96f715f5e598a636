#include "base/log.hpp"

#include <string>
#include <vector>

#include "catch.hpp"

using namespace pumice;

namespace {

struct Line {
    LogLevel level;
    std::string text;
};

}  // namespace

TEST_CASE("a log hands lines of its level and above to its sink", "[base]") {
    std::vector<Line> lines;
    const Log log = Log::to(
        [&](LogLevel level, std::string_view text) {
            lines.push_back({level, std::string(text)});
        },
        LogLevel::info);
    log.debug("too quiet");
    log.info("{} of {}", 3, 4);
    log.warning("braces in an argument: {}", "{}");
    log.write(LogLevel::error, "{} is not a format here");
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].level == LogLevel::info);
    CHECK(lines[0].text == "3 of 4");
    CHECK(lines[1].level == LogLevel::warning);
    CHECK(lines[1].text == "braces in an argument: {}");
    CHECK(lines[2].level == LogLevel::error);
    CHECK(lines[2].text == "{} is not a format here");
}

TEST_CASE("two logs do not share their level", "[base]") {
    int quiet = 0, loud = 0;
    const Log a = Log::to([&](LogLevel, std::string_view) { ++quiet; }, LogLevel::error);
    const Log b = Log::to([&](LogLevel, std::string_view) { ++loud; }, LogLevel::debug);
    a.debug("x");
    b.debug("x");
    CHECK(quiet == 0);
    CHECK(loud == 1);
}

TEST_CASE("a default log is silent", "[base]") {
    const Log log;
    CHECK_FALSE(log);
    log.warning("nobody {}", "listens");
}
