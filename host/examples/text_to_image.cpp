// Makes a batch of two pictures, with progress, and writes them as out-0.ppm and out-1.ppm.
//
//   text_to_image MODEL.safetensors PROMPT
#include <fstream>
#include <iostream>
#include <pumice/pumice.hpp>

int main(int argc, char** argv) {
    if (argc != 3) return std::cerr << "usage: " << argv[0] << " MODEL PROMPT\n", 2;
    const auto fail = [](const pumice::Failure& failure) { return std::cerr << failure.message << '\n', 1; };

    auto engine = pumice::Engine::create();
    if (!engine) return fail(engine.failure());
    std::cout << "on " << engine->device().name << '\n';
    auto model = pumice::Model::load(*engine, argv[1]);
    if (!model) return fail(model.failure());

    pumice::Request request = model->defaults();
    request.prompt = argv[2];
    request.seed = 7;
    request.batch = 2;
    request.on_progress = [](const pumice_progress& progress) {
        if (progress.stage == PUMICE_STAGE_STEP)
            std::cout << "step " << progress.step << " of " << progress.steps << '\n';
    };
    const auto images = model->generate(request);
    if (!images) return fail(images.failure());

    for (std::size_t i = 0; i < images->size(); ++i) {
        const auto image = (*images)[i];
        std::ofstream file("out-" + std::to_string(i) + ".ppm", std::ios::binary);
        file << "P6\n" << image.width << ' ' << image.height << "\n255\n";
        file.write(reinterpret_cast<const char*>(image.rgb.data()), std::streamsize(image.rgb.size()));
        if (!file.flush()) return std::cerr << "cannot write out-" << i << ".ppm\n", 1;
    }
}
