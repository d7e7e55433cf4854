#include "app/program.h"
#include "weighted.h"

/// Millrace with one assignor more: every command of `millrace`, and groups may ask for `weighted`.
int main(int count, char** arguments) {
  return mr::app::run_program(count, arguments, {.assignors = {mr::examples::make_weighted_assignor()}});
}
