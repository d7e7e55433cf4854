#include "app/serve.h"
#include "cli/cli.h"

int main(int count, char** arguments) {
  return mr::cli::run(count, arguments, {.serve = mr::app::serve, .dev = mr::app::dev});
}
