// Reports of the benchmark: hash, schema, comparing, and the page.
#include <fstream>

#include "bench/report/document.hpp"
#include "bench/report/page.hpp"
#include "bench/report/tables.hpp"
#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

Json result(const std::string& name, double seconds) {
    return {{"name", name},
            {"kind", "picture"},
            {"width", 128},
            {"height", 128},
            {"steps", 4},
            {"batch", 1},
            {"cold", 2 * seconds},
            {"first", 1.5 * seconds},
            {"warm",
             {{"median", seconds},
              {"least", seconds},
              {"most", seconds * 1.1},
              {"spread", 0.1},
              {"n", 2},
              {"seconds", {seconds, seconds * 1.1}}}},
            {"images_per_second", 1 / seconds},
            {"seconds_per_image", seconds},
            {"stages", Json::array({{{"name", "unet"},
                                     {"programs", 4},
                                     {"device_seconds", seconds * 0.8},
                                     {"flops", 1e9},
                                     {"gflops", 1 / (seconds * 0.8)},
                                     {"of_peak", 0.25}}})},
            {"kernels", Json::array({{{"stage", "unet"},
                                      {"kernel", "conv2d"},
                                      {"variant", "f16.fast"},
                                      {"constants", {8, 4}},
                                      {"dispatches", 40},
                                      {"seconds", seconds * 0.7},
                                      {"flops", 9e8},
                                      {"bytes", 1e7}}})},
            {"memory", {{"device_peak", 1 << 20}, {"staging_peak", 0}, {"host_peak", 2 << 20}}},
            {"energy", nullptr},
            {"quality",
             {{"valid", true},
              {"failed", Json::array()},
              {"repeats_equal", true},
              {"not_finite", 0},
              {"psnr", 45.5},
              {"identical", false},
              {"stage_errors", {{"unet", 0.001}}},
              {"limits", {{"psnr", 30.0}, {"stage_error", 0.02}}}}},
            {"notes", Json::array()}};
}

/// What pumice_bench gives.
Json measured(const std::string& device, double seconds) {
    return {{"device",
             {{"name", device}, {"type", "cpu"}, {"driver_name", "driver"}, {"driver_info", "1.0"}, {"uuid", "0"}}},
            {"precision", "fp16"},
            {"reference", "fp32"},
            {"quick", true},
            {"weights", {{"starter", "sha256 00"}}},
            {"peaks",
             {{"fp32_gflops", 100.0},
              {"fp16_gflops", nullptr},
              {"int8_gops", 12.5},
              {"matrix_gflops", nullptr},
              {"copy_gbps", 10.0},
              {"launch_seconds", 1e-5},
              {"dispatch_seconds", 1e-6},
              {"largest_buffer", 1 << 30}}},
            {"notes", {"no energy: none"}},
            {"valid", true},
            {"left_out", Json::array()},
            {"results", Json::array({result("starter-128-b1", seconds), result("starter-text", seconds / 10)})}};
}

fs::path put(const fs::path& file, const Json& report) {
    std::ofstream(file) << report.dump(1);
    return file;
}

fs::path schema() {
    return fs::path(PUMICE_TEST_DATA).parent_path() / "tools" / "bench" / "schema.json";
}

/// By python3-jsonschema (tools/dependencies.sh, group test): empty when the report is as the schema says.
std::string against_schema(const fs::path& report) {
    const std::string command = "python3 -c \"import json,sys,jsonschema; s=json.load(open(sys.argv[1])); "
                                "jsonschema.Draft202012Validator.check_schema(s); "
                                "e=list(jsonschema.Draft202012Validator(s).iter_errors(json.load(open(sys.argv[2])))); "
                                "print(*[x.json_path+': '+x.message for x in e],sep='\\n') if e else None\" '" +
                                schema().string() + "' '" + report.string() + "' 2>&1";
    std::FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe);
    std::string text;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
    const int status = pclose(pipe);
    INFO(text);
    CHECK(status == 0);
    return text;
}

}  // namespace

TEST_CASE("a report is as its schema says, and the schema refuses what is not") {
    TemporaryFolder folder;
    const Json report = report::finish(measured("A", 1));
    CHECK(against_schema(put(folder.path() / "good.json", report)).empty());
    Json bad = report;
    bad["results"][0]["warm"].erase("n");
    CHECK(against_schema(put(folder.path() / "bad.json", bad)).find("'n' is a required property") != std::string::npos);
    bad = report;
    bad["results"][0]["suprise"] = 1;
    CHECK(against_schema(put(folder.path() / "more.json", bad)).find("suprise") != std::string::npos);
}

TEST_CASE("the hash is of the content, whatever the order and the spaces") {
    const Json report = report::finish(measured("A", 1));
    CHECK(report["hash"] == report::content_hash(report));
    const Json sorted = Json::parse(nlohmann::json(report).dump());
    CHECK(report::content_hash(sorted) == report["hash"]);
    Json changed = report;
    changed["results"][0]["warm"]["median"] = 0.5;
    CHECK(report::content_hash(changed) != report["hash"]);
}

TEST_CASE("bench compare refuses what cannot be compared, with one line and a status of its own") {
    TemporaryFolder folder;
    const Json first = report::finish(measured("A", 1)), second = report::finish(measured("B", 2));
    const std::string a = put(folder.path() / "a.json", first).string();
    const std::string b = put(folder.path() / "b.json", second).string();
    const auto fails = [&](const std::string& file, int status, const std::string& why) {
        const Finished finished = run_pumice({"bench", "compare", a, file, "--html", (folder.path() / "x.html").string()});
        INFO(finished.err);
        CHECK(finished.status == status);
        CHECK(finished.out.empty());
        CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
        CHECK(finished.err.find(why) != std::string::npos);
        CHECK_FALSE(fs::exists(folder.path() / "x.html"));
    };
    fails((folder.path() / "absent.json").string(), 3, "no such file");
    Json changed = second;
    changed["results"][0]["warm"]["median"] = 0.1;
    fails(put(folder.path() / "changed.json", changed).string(), 5, "does not match its hash");
    std::ofstream(folder.path() / "cut.json") << second.dump().substr(0, 500);
    fails((folder.path() / "cut.json").string(), 5, "no report of pumice bench");
    Json later = second;
    later["schema"] = "pumice.bench/2";
    later["hash"] = report::content_hash(later);
    fails(put(folder.path() / "later.json", later).string(), 6, "is of schema pumice.bench/2");
    Json fewer = measured("B", 2);
    fewer["results"].erase(1);
    fails(put(folder.path() / "fewer.json", report::finish(fewer)).string(), 2, "different profiles");
    Json other = measured("B", 2);
    other["weights"]["starter"] = "sha256 11";
    fails(put(folder.path() / "other.json", report::finish(other)).string(), 2, "different weights");
    CHECK(run_pumice({"bench", "compare", a}).status == 2);

    const fs::path html = folder.path() / "both.html";
    const Finished good = run_pumice({"bench", "compare", a, b, "--html", html.string()});
    INFO(good.err);
    REQUIRE(good.status == 0);
    CHECK(good.out.find("starter-128-b1") != std::string::npos);
    CHECK(good.out.find("0.50") != std::string::npos);
    CHECK(read_file(html).find("</html>") != std::string::npos);
}

TEST_CASE("the page is whole, loads nothing, and shows names as text") {
    CHECK(report::escaped("<a href=\"x\">'&'</a>") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    Json evil = measured("<script>alert(1)</script>", 1);
    evil["results"][0]["quality"]["valid"] = false;
    evil["results"][0]["quality"]["failed"] = {"PSNR <b>3</b>"};
    evil["valid"] = false;
    for (const auto& reports : {std::vector{report::finish(evil)},
                                std::vector{report::finish(evil), report::finish(measured("B & C", 0.1))}}) {
        const std::string page = report::page(reports);
        for (const char* never : {"<script", "http://", "https://", "src=", "@import", "url(", "<b>3", "nan", "inf\""}) {
            INFO(never);
            CHECK(page.find(never) == std::string::npos);
        }
        CHECK(page.find("&lt;script&gt;") != std::string::npos);
        CHECK(page.find("PSNR &lt;b&gt;3") != std::string::npos);
        CHECK(page.find("class=\"bad\">invalid<") != std::string::npos);
        CHECK(page.find("prefers-color-scheme:dark") != std::string::npos);
        const auto count = [&](const std::string& what) {
            std::size_t n = 0;
            for (std::size_t at = page.find(what); at != std::string::npos; at = page.find(what, at + 1)) ++n;
            return n;
        };
        CHECK(count("<svg") == 3);
        CHECK(count("<svg") == count("</svg>"));
        CHECK(count("<div") == count("</div>"));
        CHECK(count("<table") == count("</table>"));
    }
}

TEST_CASE("options of bench that make no sense are refused before anything is measured") {
    CHECK(run_pumice({"bench", "--repeats", "1"}).status == 2);
    CHECK(run_pumice({"bench", "--quick", "-m", "x.safetensors"}).status == 2);
    CHECK(run_pumice({"bench", "--control-model", "x.safetensors"}).status == 2);
    CHECK(run_pumice({"bench", "--json", "a", "--html", "a"}).status == 2);
    CHECK(run_pumice({"bench", "--precision", "fp8"}).status == 2);
    const Finished help = run_pumice({"bench", "--help"});
    CHECK(help.status == 0);
    CHECK(help.out.find("pumice bench compare") != std::string::npos);
}
