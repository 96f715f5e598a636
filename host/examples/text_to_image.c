/* Makes one picture and writes it as out.ppm.
 *
 *   text_to_image MODEL.safetensors PROMPT
 */
#include <pumice/pumice.h>
#include <stdio.h>

static int write_ppm(const char* name, const pumice_image* image) {
    FILE* file = fopen(name, "wb");
    if (!file) return 0;
    fprintf(file, "P6\n%u %u\n255\n", image->width, image->height);
    fwrite(image->rgb, 3, (size_t)image->width * image->height, file);
    return fclose(file) == 0;
}

int main(int argc, char** argv) {
    pumice_engine* engine = NULL;
    pumice_model* model = NULL;
    pumice_images* images = NULL;
    pumice_request request = PUMICE_REQUEST_INIT;
    pumice_image image = PUMICE_IMAGE_INIT;
    pumice_error error = PUMICE_ERROR_INIT;
    if (argc != 3) return fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]), 2;

    int made = pumice_engine_create(NULL, &engine, &error) == PUMICE_OK &&
               pumice_model_load(engine, argv[1], NULL, &model, &error) == PUMICE_OK &&
               pumice_model_defaults(model, &request, &error) == PUMICE_OK;
    request.prompt = argv[2];
    request.seed = 7;
    made = made && pumice_generate(model, &request, &images, &error) == PUMICE_OK &&
           pumice_images_get(images, 0, &image, &error) == PUMICE_OK;
    if (!made) fprintf(stderr, "%s: %s\n", pumice_status_name(error.status), error.message);
    made = made && write_ppm("out.ppm", &image);

    pumice_images_destroy(images);
    pumice_model_destroy(model);
    pumice_engine_destroy(engine);
    return made ? 0 : 1;
}
