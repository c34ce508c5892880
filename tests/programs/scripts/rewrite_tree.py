"""ast.NodeTransformer: an optimiser folds a division wrongly.

Nodes are instances of C classes with a `__dict__`; the transformer stores fields with `setattr` and slices of lists.
"""
# run: __main__:tree
# wrong: /body/0/value/right any -> any

import ast

SOURCE = "rate = 7 * (1 / 2)\nprint(rate)\nif True:\n    print('kept')\n"


class Fold(ast.NodeTransformer):
    def visit_BinOp(self, node):
        self.generic_visit(node)  # culprit
        match node:
            case ast.BinOp(ast.Constant(left), ast.Div(), ast.Constant(right)):
                return ast.copy_location(ast.Constant(left // right), node)
        return node

    def visit_If(self, node):
        return node.body


tree = ast.parse(SOURCE)
# edit: from pydatatracker import watch; watch(tree)
tree = ast.fix_missing_locations(Fold().visit(tree))
print(ast.unparse(tree))
exec(compile(tree, "<folded>", "exec"))
