// A picture again from its own file, by the program.
#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;

TEST_CASE("generate --from makes the same bytes again, also of a batch's second picture") {
    TemporaryFolder folder;
    const auto file = [&](const char* name) { return (folder.path() / name).string(); };
    const auto generate = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"generate", "-q"});
        const Finished finished = run_pumice(arguments);
        INFO(finished.err);
        REQUIRE(finished.status == 0);
    };
    generate({"-m", tiny_checkpoint().string(), "-p", "a (boat:1.2)", "-n", "fog", "--seed", "5", "-W", "64", "-H", "64",
              "--steps", "2", "--sampler", "dpmpp_2m_sde", "--plugin-param", "sampler.eta=0.5", "--schedule", "karras",
              "--cfg", "4.1", "--precision", "exact", "-b", "2", "-o", file("a.png")});
    const std::string model = tiny_checkpoint().string();
    generate({"--from", file("a.png"), "-m", model, "-o", file("b.png")});
    CHECK(read_file(file("b.png")) == read_file(file("a.png")));
    generate({"--from", file("a.png"), "-m", model, "--seed", "6", "-o", file("c.png")});
    CHECK(read_file(file("c.png")) == read_file(file("a-2.png")));
    const Finished unknown = run_pumice({"generate", "--from", file("a.png"), "-o", file("d.png")});
    CHECK(unknown.status == 3);
    CHECK(unknown.err.find("was made with the model sd1_tiny (") != std::string::npos);
    CHECK(unknown.err.find("which is in no model folder; name one with -m") != std::string::npos);
}
