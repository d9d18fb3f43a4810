"""What the user's function is told of its block."""


class ReaderInfo:
    def __init__(self, column, row, stream):
        self.column, self.row, self.loggingstream = column, row, stream

    def getBlockCount(self):
        return self.column, self.row


def makeReaderInfo(workinggrid, block, controls, infiles, inputs, allInfo):
    assert vars(inputs).keys() == vars(infiles).keys()
    assert all(array is not None for array in vars(inputs).values())
    column, row = block.left // controls.windowxsize, block.top // controls.windowysize
    return ReaderInfo(column, row, controls.loggingstream)
