// `pumice bench` and `generate --profile` on a device, at the smallest.
#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "bench/report/document.hpp"
#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

std::vector<std::string> generate(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"generate", "-m", tiny_checkpoint().string(), "-p", "a boat", "-W", "64", "-H",
                                          "64",       "--steps", "2", "--seed", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

}  // namespace

TEST_CASE("a profile is a trace whose kernels add up to the device's time, and changes no picture") {
    TemporaryFolder folder;
    const fs::path trace = folder.path() / "trace.json";
    const std::string home = folder.path().string();
    const Finished made = run({.arguments = generate({"-o", (folder.path() / "a.png").string(), "--profile", trace.string(),
                                                      "--profile-summary", "--json"}),
                               .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", home}}});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const Finished plain = run({.arguments = generate({"-o", (folder.path() / "b.png").string(), "-q"}),
                                .environment = {{"HOME", home}}});
    REQUIRE(plain.status == 0);
    CHECK(read_file(folder.path() / "a.png") == read_file(folder.path() / "b.png"));

    const Json document = Json::parse(read_file(trace)), sums = document["pumice"];
    CHECK(sums["schema"] == "pumice.profile/1");
    CHECK(sums["complete"] == true);
    double stages = 0, kernels = 0, spans = 0;
    std::map<std::string, double> of_stage, wanted;
    for (const Json& s : sums["stages"]) {
        stages += s["device_seconds"].get<double>();
        wanted[s["name"]] = s["device_seconds"];
        CHECK(s["device_seconds"] <= s["host_seconds"]);
        CHECK(s["device_bytes"] > 0);
    }
    for (const char* name : {"text encoder", "UNet", "VAE decoder"}) CHECK(wanted.count(name) == 1);
    for (const Json& k : sums["kernels"]) {
        kernels += k["seconds"].get<double>();
        of_stage[k["stage"]] += k["seconds"].get<double>();
    }
    std::uint64_t dispatches = 0, programs = 0;
    for (const Json& event : document["traceEvents"]) {
        REQUIRE(event["ph"].is_string());
        if (event["ph"] != "X") continue;
        CHECK(event["dur"] >= 0);
        CHECK(event["ts"] >= 0);
        if (event["tid"] == 1) ++programs;
        if (event["tid"] != 2) continue;
        spans += event["dur"].get<double>() * 1e-6;
        ++dispatches;
    }
    CHECK(programs > 4);
    CHECK(dispatches == sums["dispatches"]);
    CHECK(stages > 0);
    CHECK(std::fabs(kernels - stages) < 1e-6 * stages + 1e-9);
    CHECK(std::fabs(spans - stages) < 1e-6 * stages + 1e-9);
    CHECK(std::fabs(stages - sums["device_seconds"].get<double>()) < 1e-9);
    for (const auto& [name, seconds] : wanted) CHECK(std::fabs(of_stage[name] - seconds) < 1e-6 * seconds + 1e-9);
    // The same sums are in the report.
    CHECK(Json::parse(made.out)["profile"]["kernels"] == sums["kernels"]);
    // Without being asked, nothing.
    CHECK_FALSE(Json::parse(run({.arguments = generate({"-o", (folder.path() / "c.png").string(), "--json"}),
                                 .environment = {{"HOME", home}}})
                                .out)
                    .contains("profile"));
}

TEST_CASE("a profile that cannot be written is refused before the work") {
    TemporaryFolder folder;
    const std::string picture = (folder.path() / "a.png").string();
    for (const auto& [more, status] :
         {std::pair{std::vector<std::string>{"--profile", (folder.path() / "absent" / "t.json").string()}, 3},
          {{"--profile", picture}, 2},
          {{"--profile-peaks"}, 2},
          {{"--profile-summary", "--x", "steps=1,2"}, 2}}) {
        auto arguments = generate({"-o", picture});
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Finished finished = run_pumice(arguments);
        INFO(finished.err);
        CHECK(finished.status == status);
        CHECK(fs::is_empty(folder.path()));
    }
}

TEST_CASE("bench measures a checkpoint, judges it, and leaves nothing behind") {
    TemporaryFolder folder;
    const std::string json = (folder.path() / "r.json").string(), html = (folder.path() / "r.html").string();
    const fs::path cache = folder.path() / "cache";
    const Finished made = run({.arguments = {"bench", "-m", tiny_checkpoint().string(), "--only", "text", "--repeats", "2",
                                             "--json", json, "--html", html, "-q"},
                               .environment = {{"PUMICE_VALIDATION", "1"}, {"PUMICE_CACHE", cache.string()}}});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const auto read = pumice::report::read_report(json);
    REQUIRE(read);
    const auto& report = *read;
    CHECK(report["valid"] == true);
    CHECK(report["peaks"]["fp32_gflops"] > 0);
    CHECK(report["peaks"]["copy_gbps"] > 0);
    REQUIRE(report["results"].size() == 1);
    const auto& text = report["results"][0];
    CHECK(text["name"] == "sd15-text");
    CHECK(text["warm"]["n"] == 2);
    CHECK(text["quality"]["stage_errors"].contains("text"));
    CHECK(text["stages"][0]["name"] == "text");
    CHECK(text["stages"][0]["device_seconds"] > 0);
    CHECK(read_file(html).find("sd15-text") != std::string::npos);
    CHECK(fs::is_empty(cache));
    CHECK(run_pumice({"bench", "-m", tiny_checkpoint().string(), "--only", "absent"}).status == 3);
}
