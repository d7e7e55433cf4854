#include "app/program.h"

int main(int count, char** arguments) { return mr::app::run_program(count, arguments, {}); }
