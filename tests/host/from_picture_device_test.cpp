// A picture again from its own file, by the program.
#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "image/png.hpp"
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

TEST_CASE("pictures with all that there is come back whole, and say what is missing") {
    TemporaryFolder folder;
    const std::string goldens = PUMICE_TEST_DATA "/goldens/", model = tiny_checkpoint().string();
    const auto make = [&](std::vector<std::string> arguments, const std::string& name) {
        arguments.insert(arguments.begin(), {"generate", "-q", "-m", model});
        arguments.insert(arguments.end(), {"-o", name});
        const Finished finished = run({.arguments = arguments, .folder = folder.path()});
        INFO(finished.err);
        REQUIRE(finished.status == 0);
        return read_file(folder.path() / name);
    };
    const auto fails = [&](const std::string& picture, const std::string& why, int status = 3) {
        const Finished finished = run({.arguments = {"generate", "--from", picture, "-m", model, "-o", "no.png"},
                                       .environment = {{"HOME", folder.path().string()}},
                                       .folder = folder.path()});
        INFO(finished.err);
        CHECK(finished.status == status);
        CHECK(finished.err.find(why) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(folder.path() / "no.png"));
    };
    for (const auto& [from, to] : {std::pair{"lora/lora.safetensors", "style.safetensors"},
                                   {"ti/my-emb.safetensors", "words/my-emb.safetensors"},
                                   {"upscale/rrdb_x2.safetensors", "x2.safetensors"},
                                   {"../pictures/control/edges.png", "edges.png"}}) {
        std::filesystem::create_directories((folder.path() / to).parent_path());
        std::filesystem::copy(goldens + from, folder.path() / to);
    }
    // A second pass, LoRA, embedding, control picture, guidance, seamless, parameters, a filter.
    const std::string first = make({"-p", "a my-emb boat", "--lora", "style.safetensors:0.7", "--embedding-folder", "words",
                                    "--control", "model=" + goldens + "control/controlnet_tiny.safetensors,image=edges.png",
                                    "--hires", "1.5", "--hires-model", "x2.safetensors", "--hires-steps", "1",
                                    "--hires-sampler", "heun", "--seamless", "x", "--sampler", "euler_a", "--plugin-param",
                                    "sampler.eta=0.3", "--guidance", "rescale", "--filter", "sharpen", "--seed", "5", "-W",
                                    "64", "-H", "64", "--steps", "1"},
                                   "a.png");
    CHECK(first.find(", Hires upscale: 1.5, Hires steps: 1, Hires upscaler: x2, Hires sampler: Heun, ") != std::string::npos);
    CHECK(make({"--from", "a.png"}, "b.png") == first);
    // A mask, pixels beyond the edge, a variation; what is in the configuration is not the picture's.
    std::filesystem::copy(folder.path() / "a.png", folder.path() / "init.png");
    const std::string second = make({"-p", "a boat", "--init-image", "init.png", "--mask", "edges.png", "--outpaint", "left=8",
                                     "--strength", "0.5", "--mask-fill", "noise", "--variation-strength", "0.2",
                                     "--variation-seed", "3", "--seed", "6", "--steps", "2"},
                                    "c.png");
    write_file(folder.path() / "config.toml", "[generate]\nhires = 2.0\nmask_blur = 9\nclip_skip = 2\n");
    CHECK(make({"--from", "c.png", "--config", "config.toml"}, "d.png") == second);
    // Also where the file lies beside the picture, but not where it lay.
    std::filesystem::create_directory(folder.path() / "moved");
    for (const char* name : {"c.png", "init.png", "edges.png"})
        std::filesystem::rename(folder.path() / name, folder.path() / "moved" / name);
    make({"--from", "moved/c.png"}, "e.png");
    CHECK(pumice::host::read_png(folder.path() / "e.png")->pixels == pumice::host::read_png(folder.path() / "d.png")->pixels);
    std::filesystem::remove(folder.path() / "moved/init.png");
    fails("moved/c.png", "moved/c.png was made with the picture init.png (SHA-256 ");
    std::filesystem::remove(folder.path() / "words/my-emb.safetensors");
    fails("a.png", "a.png was made with the embedding my-emb (");
    std::filesystem::remove(folder.path() / "style.safetensors");
    fails("a.png", "which is in no folder of them; name one with --lora-folder");
    write_file(folder.path() / "x2.safetensors", "other");
    std::filesystem::copy(goldens + "lora/lora.safetensors", folder.path() / "style.safetensors");
    std::filesystem::copy(goldens + "ti/my-emb.safetensors", folder.path() / "words/my-emb.safetensors");
    fails("a.png", "x2.safetensors: it is not the upscaler that a.png was made with", 5);
}
